"""How long the making of one candidate may take, of the time that a study has left."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

from trimwatt.trial import Trial
from trimwatt.units import Budget

_LEAST_S = 10.0


def allowed_s(left_s: float, share: float, waiting: int, each_s: float | None, measuring_s: float) -> float:
    """Seconds that a candidate may take: its share of the time left, or all that the others have no use for.

    left_s: until the end of the search; what the finals need is no part of it. share: in (0, 1], the least it may
    take; ten seconds where there are that many. waiting: candidates that come after it, each thought to take as long
    as the longest yet did, each_s; None where none was tried. measuring_s: what measuring it will take.
    """
    fair = max(left_s * share, min(left_s, _LEAST_S))
    others = waiting * each_s if each_s is not None else 0.0 if waiting == 0 else left_s
    return max(1.0, fair, left_s - measuring_s - others)


def too_little(budget: Budget) -> str:
    """One line for a budget in which the baseline was not finished."""
    if budget.kind == "trials":
        return "the baseline took more than an hour, the time it was given; --budget 10h gives more"
    more = max(4 * budget.amount, 60.0) if budget.kind == "s" else 4 * budget.amount
    asked = f"{math.ceil(more / 60)}min" if budget.kind == "s" else f"{more:.0f}J" if more >= 1 else f"{more:.3g}J"
    return f"a budget of {budget} does not even cover the baseline; give more, say --budget {asked}"


def longest_s(trials: Iterable[Trial]) -> float | None:
    """How long the trial took that took longest; None where none says when it began and ended."""
    spans = [
        (datetime.fromisoformat(trial.finished) - datetime.fromisoformat(trial.started)).total_seconds()
        for trial in trials
        if trial.started and trial.finished
    ]
    return max(spans, default=None)
