"""Hands over the recommended model: files, manifest and figures, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trimwatt import input
from trimwatt.runtime import deployed
from trimwatt.study.engine import Engine, Found


def hand_over(engine: Engine, found: Found, summary: dict[str, Any]) -> Path | None:
    """Write `artifact/`; None where nothing is recommended."""
    chosen = found.recommended
    if chosen is None:
        return None
    base = engine.workload
    trial = next(trial for trial in summary["trials"] if trial["id"] == chosen.id)
    names = (
        "name", "quality", "train_quality", "test_quality", "energy_per_prediction", "cpu_s_per_prediction",
        "ratio_to_baseline", "latency_s", "size_bytes", "peak_rss_bytes", "floor_test",
    )  # fmt: skip
    artifact = engine.artifact(chosen)
    return deployed.write(
        engine.folder / "artifact", artifact, task=base.task.name, metric=base.quality.name,
        classes=artifact.classes or base.rows.classes, input=input.describe(base.rows, artifact.columns),
        recipe=chosen.recipe, figures={name: trial[name] for name in names}, scenario=base.scenario,
        refit=summary["refit"],
        keep_others=True,
    )  # fmt: skip
