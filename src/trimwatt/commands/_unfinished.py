"""A study that was stopped before it wrote study.json: what its database kept."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from trimwatt.errors import InputError


def read(folder: Path) -> dict[str, Any] | None:
    """What the study in `folder` kept, in the form of study.json but without a verdict; None where it kept no trial."""
    if not (folder / "study.db").is_file():
        return None
    from trimwatt.store import open_store

    with contextlib.closing(open_store(folder)) as store:
        asked, trials, ledger = store.study(), store.trials(), store.ledger()
    if asked is None or not trials:
        return None
    options = asked.get("options") or {}
    return {
        "schema": "trimwatt/study/1", "task": "regression" if not asked["data"]["classes"] else "classification",
        "metric": asked["metric"], "data": asked["data"], "scenario": options.get("scenario"),
        "floor": _floor(asked["metric"], options, trials[0]), "baseline": trials[0]["id"], "recommended": None,
        "verdict": None, "payback": None, "trials": trials, "ledger": ledger, "warnings": [],
    }  # fmt: skip


def _floor(name: str, options: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any] | None:
    """The floor as the study had it: given, or the baseline's quality less the drop; None for a metric of one's own."""
    if options.get("floor") is not None:
        return {"kind": "absolute", "value": options["floor"]}
    from trimwatt import metric

    try:
        value = metric.get(name).floor(baseline["quality"]["value"], options["max_drop"])
    except InputError:
        return None
    return {"kind": "max_drop", "value": value, "max_drop": options["max_drop"]}
