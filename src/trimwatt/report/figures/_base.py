"""What the figures share: Altair, the roles of trials, and their energy with the interval of the comparison."""

from __future__ import annotations

import math
from typing import Any

from trimwatt import _imports
from trimwatt.report import _study

Study = dict[str, Any]
ROLES = ("recommended", "baseline", "on the front", "keeps the floor", "misses the floor")


def altair() -> Any:
    """The module; raises MissingExtra with the command to install it."""
    return _imports.require("altair", "report", "Drawing figures")


def role(study: Study, trial: dict[str, Any]) -> str:
    """What a trial is drawn as: one of ROLES."""
    marks = [mark for mark in _study.marks(study, trial) if mark in ROLES]
    if marks:
        return marks[0]
    if not trial.get("meets_floor"):
        return ROLES[4]
    return ROLES[2] if trial.get("on_front") else ROLES[3]


def bounds(study: Study, trial: dict[str, Any]) -> tuple[float, float]:
    """Joules between which a trial lies as compared with the baseline, whose own error all share.

    Where the trial was not compared, the interval of its energy itself.
    """
    ratio, joules = trial.get("ratio_to_baseline"), _study.cost_of(study, trial)
    if trial["id"] == study.get("baseline") and joules:
        return joules, joules
    if not ratio or not ratio["value"] or not joules:
        return trial["energy_per_prediction"]["low"], trial["energy_per_prediction"]["high"]
    return joules * ratio["low"] / ratio["value"], joules * ratio["high"] / ratio["value"]


def bar(origin: str, colour: str, **more: Any) -> dict[str, Any]:
    """A measured bar is solid; an estimated one is pale with a dashed edge, so that it survives a grey print."""
    style = {"fillOpacity": 0.9} if origin == "measured" else {"strokeDash": [4, 3], "fillOpacity": 0.28}
    return {"fill": colour, "stroke": colour, "strokeWidth": 1.2, "cornerRadius": 2, **style, **more}


def log_axis(low: float, high: float, title: str, unit: str, **more: Any) -> Any:
    """An axis that names decades, and steps between where there are few: 10 µJ, 1 k."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = range(1, 10) if high / low < 10 else (1, 2, 5) if last - first <= 3 else (1,)
    marks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    values = [mark for mark in marks if low <= mark <= high]
    named = f"replace(format(datum.value, '~s'), /([a-zA-Zµ]?)$/, ' $1{unit}')"
    return altair().Axis(title=title, values=values, labelExpr=named, **more)
