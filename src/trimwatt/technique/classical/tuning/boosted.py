"""A short search for boosted trees: usual settings on few rows, the best of them on all, then steps around the best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np

from trimwatt.framework.logged import without_log
from trimwatt.framework.sklearn import quietly_fitted
from trimwatt.technique.classical.boosted import Boosted, boosted_estimator
from trimwatt.technique.classical.tuning._clock import Clock
from trimwatt.technique.classical.tuning._inner import Fold, Inner
from trimwatt.technique.classical.tuning._judge import Judged, as_good, best, judge, ranked
from trimwatt.workload import Array, Workload

# rounds at most, and rounds without a gain after which boosting stops
_ROUNDS, _PATIENCE = 2000, 25
# first on few rows at a quick rate, in the end at a slow one
_QUICK, _USUAL, _SLOW = 0.2, 0.1, 0.05
_KEPT = 3
# share of all that boosting gains that is not worth more rounds
_TOLERANCE = 1e-3
_HALVINGS = 4
# a model of few rounds is looked for among trees of few leaves at high rates
_LEAN = ((4, 0.3), (8, 0.3), (16, 0.3), (31, 0.3), (8, 0.15), (16, 0.15))


def search(inner: Inner, clock: Clock) -> list[Judged]:
    """Judged techniques with the rounds that the rows held out liked best, and with fewer."""
    workload = inner.workload
    few = clock.each(_usual(inner), partial(_judged, inner.few))
    if not few:
        return []
    chosen: list[Any] = [one.technique for one in ranked(few, workload)[:_KEPT]]
    found = clock.each([replace(step, learning_rate=_USUAL) for step in chosen], partial(_judged, inner.for_trees))
    if not found:
        return _strongest_first(few, workload)
    for steps in (_around, _slower, _leaner):
        first: Any = best(found, workload).technique
        found += clock.each(steps(first, inner), partial(_judged, inner.for_trees))
    return _strongest_first(found, workload)


def _strongest_first(found: Sequence[Judged], workload: Workload) -> list[Judged]:
    """All, and those of fewer rounds, behind the strongest: the slowest of those as good as the best.

    Of two rates that rows held out cannot tell apart, the slower is the safer (Friedman 2001).
    """
    near = as_good(found, best(found, workload))
    slowest = min(cast(Boosted, one.technique).learning_rate for one in near)
    first = best([one for one in near if cast(Boosted, one.technique).learning_rate == slowest], workload)
    return [first, *(one for one in found if one is not first), *_shortened(found, first)]


def _usual(inner: Inner) -> list[Boosted]:
    """Settings that are good on many tables, the usual one first (FLAML's and AutoGluon's spaces are of this size)."""
    start = Boosted(rounds=_ROUNDS, learning_rate=_QUICK, early_stopping=False)
    steps = [
        start,
        replace(start, leaves=15, columns=0.5),
        replace(start, leaves=8),
        replace(start, leaves=31, leaf=5, columns=0.5, l2=1.0),
        replace(start, leaves=4),
        replace(start, leaves=15, leaf=50, l2=10.0),
    ]
    if inner.rows > 5000:
        steps += [replace(start, leaves=63, columns=0.5, l2=1.0), replace(start, leaves=127, columns=0.5, l2=10.0)]
    if inner.few[0].has_missing:
        steps.insert(1, replace(start, missing="own"))
    return [*steps, *_other_goals(inner.workload, start)]


def _other_goals(workload: Workload, start: Boosted) -> Iterator[Boosted]:
    """Losses and targets that the task may ask for; where classes are weighed alike, rare ones count as much."""
    data, metric = workload.rows, workload.quality
    if workload.task.target == "class":
        if not metric.argmax_is_best and not workload.needs_threshold:
            yield replace(start, class_weight="balanced")
        return
    if metric.median_is_best:
        yield replace(start, loss="absolute")
    if skewed(data.train.y):
        yield replace(start, loss="poisson")
        yield replace(start, target="log")


def skewed(target: Array) -> bool:
    """Whether a target is never negative and has a long tail upwards, so that its logarithm may be learnt better."""
    spread = float(target.std())
    if target.min() < 0 or target.max() <= 0 or not spread > 0:
        return False
    return float((((target - target.mean()) / spread) ** 3).mean()) > _SKEWNESS


_SKEWNESS = 0.5


def _around(step: Boosted, inner: Inner) -> list[Boosted]:
    """One parameter changed at a time, the one that usually matters most first."""
    steps = [
        replace(step, leaves=2 * step.leaves), replace(step, leaves=max(3, step.leaves // 2)),
        replace(step, columns=0.5 if step.columns > 0.75 else 1.0), replace(step, l2=10.0 if step.l2 < 5 else 1.0),
        replace(step, leaf=max(2, step.leaf // 3)), replace(step, leaf=3 * step.leaf),
    ]  # fmt: skip
    return [other for other in steps if 2 * other.leaf < inner.rows]


def _slower(step: Boosted, inner: Inner) -> list[Boosted]:
    return [replace(step, rounds=_ROUNDS, learning_rate=_SLOW)]


def _leaner(step: Boosted, inner: Inner) -> list[Boosted]:
    return [
        replace(step, rounds=_ROUNDS, leaves=leaves, learning_rate=rate)
        for leaves, rate in _LEAN
        if leaves <= step.leaves
    ]


@dataclass(frozen=True, eq=False)
class _Fitted:
    """Boosted trees of one fold, the loss after each round (rounds + 1,), and the rows that they are judged on."""

    model: Any
    losses: Array
    fold: Fold
    missing: str

    def said(self, rounds: int) -> Array:
        """Answers to all rows held out after so many rounds: probabilities (n, k), or values (n,)."""
        inside = without_log(self.model)
        whole = inside._predictors
        inside._predictors = whole[:rounds]
        try:
            rows, workload = self.fold.prepared(self.missing)[1], self.fold.workload
            if workload.task.target == "value":
                return np.asarray(self.model.predict(rows))
            full = np.zeros((len(rows), len(workload.rows.classes or ())))
            full[:, inside.classes_] = inside.predict_proba(rows)
            return full
        finally:
            inside._predictors = whole


def _judged(folds: Sequence[Fold], step: Boosted) -> Judged:
    """The technique with the rounds that are best on the rows held out, and how it answers them."""
    fitted = [_fit(step, fold) for fold in folds]
    most = max(len(one.losses) for one in fitted)
    curve = np.mean([np.pad(one.losses, (0, most - len(one.losses)), mode="edge") for one in fitted], axis=0)
    enough = curve <= curve.min() + _TOLERANCE * (curve[0] - curve.min())
    return _after(fitted, replace(step, rounds=max(1, int(enough.argmax()))))


def _after(fitted: Sequence[_Fitted], step: Boosted) -> Judged:
    """How it answers after the rounds of `step`."""
    workload = fitted[0].fold.workload
    truth = np.concatenate([one.fold.held.y for one in fitted])
    said = np.concatenate([one.said(step.rounds) for one in fitted])
    classes = len(workload.rows.classes or ())
    cost = step.rounds * (classes if classes > 2 else 1) * (math.log2(step.leaves) + 2)
    return judge(workload, step, truth, said, cost, fitted)


def _fit(step: Boosted, fold: Fold) -> _Fitted:
    (rows, held), known = fold.prepared(step.missing), fold.known
    fit, target = fold.workload.rows.train, fold.held.y[known]
    model = boosted_estimator(step, fold.workload)
    inside = without_log(model)

    def boost(values: Array, judged: Array) -> Any:
        inside.set_params(
            early_stopping=True, n_iter_no_change=_PATIENCE, tol=_gain(step, fold, values), scoring="loss"
        )
        return quietly_fitted(inside, rows, values, X_val=held[known], y_val=judged)

    if model is inside:
        boost(fit.y, target)
    else:
        model.fit_by(lambda logs: boost(logs, np.log1p(target / model.unit_)), fit.y)
    return _Fitted(model, -np.asarray(inside.validation_score_), fold, step.missing)


def _gain(step: Boosted, fold: Fold, values: Array) -> float:
    """What counts as a gain, in the unit of the loss: a tenth of the share that is not worth more rounds."""
    if fold.workload.task.target == "class":
        return 0.1 * _TOLERANCE
    scale = {"squared": 0.5 * values.var(), "absolute": values.std(), "poisson": values.mean()}[step.loss]
    return float(0.1 * _TOLERANCE * scale)


def _shortened(found: Sequence[Judged], first: Judged) -> list[Judged]:
    """The best, and all that are cheaper, after fewer rounds than were best."""
    less = []
    for one in found:
        step: Any = one.technique
        fewer = dict.fromkeys(round(step.rounds / 2**halvings) for halvings in range(1, _HALVINGS + 1))
        if one is first or one.cost < first.cost:
            less += [_after(one.state, replace(step, rounds=rounds)) for rounds in fewer if rounds]
    return less
