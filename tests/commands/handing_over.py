"""Delivers a small model for the tests of what is delivered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trimwatt import input
from trimwatt.runtime import deployed
from trimwatt.workload import Workload


def hand_over(workload: Workload, folder: Path, runtime: str = "onnxruntime") -> Path:
    """A linear model fitted to `workload` and delivered as `folder`."""
    from trimwatt import runtime as runtimes
    from trimwatt.technique import apply, registry

    fitted = apply(registry()["linear"](), replace(workload))
    made = folder.with_name(folder.name + "-made")
    made.mkdir(parents=True)
    artifact = runtimes.get(runtime).export(fitted, made)
    return deployed.write(
        folder, artifact, task=workload.task.name, metric=workload.quality.name, classes=workload.rows.classes,
        input=input.describe(workload.rows), recipe=[{"technique": "linear"}], figures={"name": "linear"},
        scenario=workload.scenario,
    )  # fmt: skip
