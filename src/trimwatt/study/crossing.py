"""A candidate judged out of fold: made for one fold after the other, each time answering the rows held out."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trimwatt.energy import Energy, total
from trimwatt.errors import TrialFailed, TrialStopped
from trimwatt.study.candidate import Candidate
from trimwatt.study.validation import FOLDS, on_one_split
from trimwatt.study.worker import seen
from trimwatt.study.workshop import Made
from trimwatt.trial import Quality, Trial
from trimwatt.units import seconds
from trimwatt.workload import Array

if TYPE_CHECKING:
    from trimwatt.study.engine import Engine

ONE_SPLIT = "one split"
# the share of the time for the baseline that its folds may take
_FOLDS_SHARE = 0.4
# the model that is measured is fitted on a quarter more rows than one of five folds
_WHOLE = 1.25


@dataclass
class Crossed:
    """What came of the folds so far. answers: to the held-out rows of each. error: why there are none, or no more.

    thresholds: what each fold chose on rows that its model was not fitted on.
    """

    answers: list[Array] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    train_quality: Quality | None = None
    costs: list[Energy] = field(default_factory=list)
    error: TrialFailed | None = None
    longest_s: float = 0.0

    @property
    def val(self) -> Array:
        """The answers to the rows of all these folds."""
        return np.concatenate(self.answers)

    @property
    def threshold(self) -> float | None:
        """For the model that is fitted on all of these rows: no row of them is left to choose one on."""
        return statistics.median(self.thresholds) if self.thresholds else None

    def cost(self, made: Energy | None) -> Energy | None:
        """With what making the model that is measured took."""
        return total([*self.costs, *([made] if made else [])])


def cross_fit(engine: Engine, trial: Trial, candidate: Candidate, limit_s: float, most_s: float = math.inf) -> Crossed:
    """Judge `candidate` in as many folds as it takes to show that it misses the floor, all where it does not.

    limit_s: for the folds and the model that is measured after them. most_s: for one fold; one that takes longer is cut
    off.
    """
    parts, crossed, started = engine.judging.validation.parts, Crossed(), time.monotonic()
    place = engine.place(trial.id)
    names = [f"fold{n}" for n in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        engine.workshop.use(name, part)
    began = started
    for made in engine.workshop.in_folds(candidate.recipe, candidate.runtime, place, names, limit_s, most_s):
        took_s, began = time.monotonic() - began, time.monotonic()
        _take(engine, trial, crossed, made, took_s)
        if crossed.error is not None or len(crossed.answers) == len(parts):
            break
        if engine.judging.is_lost(crossed.val):
            break
        if limit_s - (time.monotonic() - started) < (1 + _WHOLE) * crossed.longest_s:
            crossed.error = _stopped(crossed, len(parts), limit_s)
            break
    return crossed


def _stopped(crossed: Crossed, folds: int, limit_s: float) -> TrialStopped:
    """A few folds that do not disprove it say too little to choose it by."""
    done = len(crossed.answers)
    return TrialStopped(f"{done} of {folds} folds were done in {seconds(limit_s)}, the time it was given")


def _take(engine: Engine, trial: Trial, crossed: Crossed, made: Made, took_s: float) -> None:
    """Add what one fold gave, or why it gave nothing."""
    engine.ledger.book(trial.id, made.outcome.usages)
    crossed.longest_s = max(crossed.longest_s, took_s)
    if made.cost is not None:
        crossed.costs.append(made.cost)
    if made.outcome.val is not None:
        first = not crossed.answers
        crossed.answers.append(made.outcome.val)
        crossed.thresholds += [] if made.outcome.threshold is None else [made.outcome.threshold]
        if first:
            part = engine.judging.validation.parts[0]
            crossed.train_quality = engine.judging.seen(seen(part, engine.workload.seed), made.outcome.train)
    else:
        kind = TrialStopped if made.outcome.late else TrialFailed
        fold = f" (in fold {len(crossed.answers) + 1})" if crossed.answers else ""
        crossed.error = kind((made.outcome.failure or "nothing was exported") + fold)


def cross_baseline(engine: Engine, trial: Trial, candidate: Candidate, limit_s: float) -> Crossed | None:
    """The baseline in every fold; None, and one split for all candidates, where it cannot be made in each in time."""
    if not engine.judging.validation.is_crossed:
        return None
    with engine.ledger.booking("prepare", trial.id, "folds"):
        crossed = cross_fit(engine, trial, candidate, limit_s, _FOLDS_SHARE * limit_s / (FOLDS + 1))
    if len(crossed.answers) == FOLDS:
        return crossed
    why = f"fitting {candidate.name} {FOLDS + 1} times takes too long for this budget"
    if crossed.error is not None and not isinstance(crossed.error, TrialStopped):
        why = f"{candidate.name} cannot be made in every fold: {crossed.error}"
    turn_to_one_split(engine, why)
    return None


def turn_to_one_split(engine: Engine, why: str) -> None:
    """Judge all candidates on the validation rows alone, by models fitted on the training rows."""
    data = engine.workload.rows
    note = f"candidates are judged on {len(data.val):,} validation rows alone, not out of fold: {why}"
    engine.event("warning", text=note)
    engine.judging.validation = on_one_split(data, note)
    engine.store.set(ONE_SPLIT, note)
    engine.workshop.turn_to(data)
