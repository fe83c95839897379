"""Short searches for forests, linear models, dense networks and neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from trimwatt.framework import sklearn
from trimwatt.technique._base import Technique, apply
from trimwatt.technique.classical.forest import ExtraTrees, Forest
from trimwatt.technique.classical.linear import Linear
from trimwatt.technique.classical.mlp import Mlp
from trimwatt.technique.classical.neighbours import Neighbours
from trimwatt.technique.classical.tuning._clock import Clock
from trimwatt.technique.classical.tuning._inner import Fold, Inner
from trimwatt.technique.classical.tuning._judge import Judged, best, judge, ranked
from trimwatt.technique.classical.tuning.boosted import skewed
from trimwatt.workload import Array, Workload

_KEPT = 2
# a search for leaves and columns needs no more trees; what it finds gets as many as are usual
_TREES = 40


def forests(inner: Inner, clock: Clock) -> list[Judged]:
    """Random forests and extra trees: how many columns a split chooses from, and how small leaves are."""
    workload = inner.workload
    shares: tuple[float | None, ...] = (None, 0.5) if workload.rows.classes else (None, 0.33)
    steps: list[Technique] = [
        kind(_TREES, leaf=leaf, columns=columns)
        for leaf in (1, 4)
        for kind in (ExtraTrees, Forest)
        for columns in shares
    ]
    steps += [Forest(_TREES, **goal) for goal in _goals(workload)]
    found = _halved(inner.few, inner.for_trees, clock, steps, _nearby_forests, _leaner_forests)
    if not found:
        return []
    first, *rest = _best_first(found, workload)
    return [_with_usual_trees(first), *rest]


def _best_first(found: Sequence[Judged], workload: Workload) -> list[Judged]:
    if not found:
        return []
    first = best(found, workload)
    return [first, *(one for one in found if one is not first)]


def _with_usual_trees(one: Judged) -> Judged:
    """The same with as many trees as are usual: more never make a forest worse, whatever few rows say."""
    step: Any = one.technique
    trees = max(step.trees, Forest.trees)
    return replace(one, technique=replace(step, trees=trees), cost=one.cost * trees / step.trees)


def _nearby_forests(step: Any, workload: Workload) -> list[Technique]:
    near = [replace(step, leaf=2 if step.leaf == 1 else 8)]
    near += [replace(step, columns=columns) for columns in (0.25, 0.75) if columns != step.columns]
    return [*near, *(replace(step, **goal) for goal in _goals(workload))]


def _leaner_forests(step: Any, workload: Workload) -> list[Technique]:
    return [
        replace(step, trees=trees, leaf=max(leaf, step.leaf)) for trees, leaf in ((30, 1), (20, 2), (10, 4), (5, 8))
    ]


def linear(inner: Inner, clock: Clock) -> list[Judged]:
    """The strength of the penalty, from weak to strong, then between."""
    workload = inner.workload
    ways: list[dict[str, Any]] = [{}, *_goals(workload)]
    found = clock.each(
        [Linear(strength=10.0**power, **way) for power in (0, 1, 2, -1, 3, -2) for way in ways],
        partial(_judged, inner.folds),
    )
    if not found:
        return []
    step: Any = best(found, workload).technique
    near = [replace(step, strength=step.strength * times) for times in (3.0, 1 / 3.0)]
    return _best_first([*found, *clock.each(near, partial(_judged, inner.folds))], workload)


def networks(inner: Inner, clock: Clock) -> list[Judged]:
    """Units, penalty and rate of dense networks of one or two layers."""
    steps: list[Technique] = [
        Mlp(), Mlp((64, 32), penalty=1e-2), Mlp((128,), penalty=1e-1, learning_rate=3e-3), Mlp((32,), penalty=1.0),
    ]  # fmt: skip
    found = _halved(inner.few, inner.for_networks, clock, steps, _nearby_networks, _leaner_networks)
    return _best_first(found, inner.workload)


def _nearby_networks(step: Any, workload: Workload) -> list[Technique]:
    other = 3e-3 if step.learning_rate < 2e-3 else 1e-3
    near = [replace(step, penalty=10 * step.penalty), replace(step, learning_rate=other)]
    return [*near, *(replace(step, **goal) for goal in _goals(workload) if "target" in goal)]


def _leaner_networks(step: Any, workload: Workload) -> list[Technique]:
    return [replace(step, hidden=tuple(max(2, units // times) for units in step.hidden)) for times in (2, 4, 8)]


def neighbours(inner: Inner, clock: Clock) -> list[Judged]:
    """How many neighbours are asked."""
    steps = [Neighbours(k=k) for k in (5, 1, 3, 10, 20, 40)]
    return _best_first(clock.each(steps, partial(_judged, inner.folds)), inner.workload)


def _goals(workload: Workload) -> list[dict[str, Any]]:
    """What else may be learnt: the logarithm of a skewed target, or classes weighed alike."""
    data = workload.rows
    if workload.task.target == "value":
        return [{"target": "log"}] if skewed(data.train.y) else []
    return [] if workload.quality.argmax_is_best or workload.needs_threshold else [{"class_weight": "balanced"}]


def _halved(
    few: Sequence[Fold], folds: Sequence[Fold], clock: Clock, steps: Sequence[Technique], nearby: Any, leaner: Any
) -> list[Judged]:
    """All on few rows, the best of them on all, then what is near the best, then leaner ones."""
    workload = folds[0].workload
    first = clock.each(steps, partial(_judged, few))
    if not first:
        return []
    found = clock.each([one.technique for one in ranked(first, workload)[:_KEPT]], partial(_judged, folds))
    if not found:
        return first
    for others in (nearby, leaner):
        step: Any = best(found, workload).technique
        found += clock.each(others(step, workload), partial(_judged, folds))
    return found


def _judged(folds: Sequence[Fold], step: Technique) -> Judged:
    made = [apply(step, fold.workload) for fold in folds]
    said = np.concatenate([sklearn.scores(one, fold.held.x) for one, fold in zip(made, folds, strict=True)])
    truth: Array = np.concatenate([fold.held.y for fold in folds])
    return judge(folds[0].workload, step, truth, said, max(_cost(one) for one in made))


def _cost(made: Workload) -> float:
    """What an answer takes, by the kind of model: comparisons of trees, else multiplications."""
    members = getattr(made.model, "estimators_", None) or getattr(
        getattr(made.model, "regressor", None), "estimators_", None
    )
    if members is not None:
        return float(sum(math.log2(member.tree_.n_leaves) + 2 for member in members))
    return float(sklearn.macs(made) or 1)
