"""How good a tuned model is on rows held out of its training, and which of several is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.technique._base import Technique
from trimwatt.workload import Array, Workload


@dataclass(frozen=True, eq=False)
class Judged:
    """A technique and how it answered held-out rows.

    error: the workload's metric, turned so that less is better. loss: a proper score of the same answers (squared
    error of probabilities or values, or absolute error where the metric is one), less noisy than labels. wrong: per
    row (n,), what the noise of `error` is estimated from. cost: of a prediction, in units that compare models of one
    kind alone.
    """

    technique: Technique
    error: float
    loss: float
    wrong: Array
    cost: float
    state: Any = None


def judge(
    workload: Workload, technique: Technique, truth: Array, said: Array, cost: float, state: Any = None
) -> Judged:
    """Judge answers: probabilities (n, k) in the order of the classes, or values (n,)."""
    metric = workload.quality
    sign = -1.0 if metric.greater_is_better else 1.0
    if workload.task.target == "value":
        apart = said - truth
        wrong = np.abs(apart) if metric.median_is_best else apart**2
        return Judged(technique, sign * metric(truth, said), float(wrong.mean()), wrong, cost, state)
    hot = np.zeros(said.shape)
    hot[np.arange(len(truth)), truth] = 1.0
    loss, labels = float(((said - hot) ** 2).sum(axis=1).mean()), said.argmax(axis=1)
    read = labels if metric.reads == "labels" else said
    error = loss if workload.needs_threshold else sign * metric(truth, read)
    return Judged(technique, error, loss, (labels != truth).astype(np.float64), cost, state)


def best(found: Sequence[Judged], workload: Workload) -> Judged:
    """The one with the least loss among those whose error is within a standard error of the least.

    A metric of labels is too coarse to choose by: of 300 rows a change of one is a third of a point. Others are
    compared as they are.
    """
    first = min(found, key=lambda one: one.error)
    if workload.quality.reads != "labels":
        return first
    near = [one for one in found if one.error <= first.error + _noise(one, first)]
    return min(near, key=lambda one: one.loss)


def _noise(one: Judged, other: Judged) -> float:
    apart = one.wrong - other.wrong
    return float(apart.std() / np.sqrt(len(apart)))


def as_good(found: Sequence[Judged], first: Judged) -> list[Judged]:
    """Those whose loss, row by row, is not above that of `first` by more than a standard error."""
    return [one for one in found if one.wrong.mean() <= first.wrong.mean() + _noise(one, first)]


def ranked(found: Sequence[Judged], workload: Workload) -> list[Judged]:
    """All, the best first."""
    left, order = list(found), []
    while left:
        order.append(best(left, workload))
        left.remove(order[-1])
    return order


def smaller(found: Sequence[Judged], first: Judged, drop: float, most: int) -> list[Judged]:
    """Cheaper ones than `first`, from costly to cheap: of those that lose less than `drop` (in the units of error) the
    best of each halving of the cost.
    """
    chosen: list[Judged] = []
    limit = first.cost / _STEP
    while len(chosen) < most:
        fitting = [one for one in found if one.cost <= limit and one.error <= first.error + drop]
        if not fitting:
            break
        chosen.append(min(fitting, key=lambda one: (one.error, one.cost)))
        limit = chosen[-1].cost / _STEP
    return chosen


_STEP = 1.6
