"""The decision threshold: from which probability a row is taken for the positive class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from trimwatt import framework
from trimwatt.errors import TrialFailed
from trimwatt.metric import Metric
from trimwatt.technique._base import Technique, applies_to
from trimwatt.workload import Array, Decide, Workload

_MOST = 400


@dataclass(frozen=True)
class Threshold(Technique):
    """Choose the threshold that makes the workload's metric best on training rows the model was not fitted on.

    A model that was given has no such rows; it gets the same seeded sample of training rows. The positive class is
    the one the workload's decision names, else the rarer one among training rows.
    """

    name: ClassVar[str] = "threshold"
    family: ClassVar[str] = "decision"
    reference: ClassVar[str] = "Lipton, Elkan and Naryanaswamy 2014, arXiv:1402.1892"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx", "sklearn", "torch"})
    stage: ClassVar[str] = "train"


@applies_to(Threshold, "onnx", "sklearn", "torch")
def _threshold(technique: Threshold, workload: Workload) -> Workload:
    data, metric = workload.rows, workload.quality
    if data.classes is None or len(data.classes) != 2:
        raise TrialFailed("a threshold separates two classes, and these data have others")
    if metric.reads != "labels":
        raise TrialFailed(f"{metric.name} does not read labels, so no threshold can raise it")
    decide = workload.decide or Decide(data.classes)
    positive = decide.positive if decide.positive is not None else _rarer(data.train.y)
    held = data.holdout(workload.seed)[1]
    found = framework.get(workload.form).scores(workload, held.x)
    best = best_threshold(metric, held.y, found, positive)
    return replace(workload, decide=replace(decide, threshold=best, positive=positive))


def _rarer(codes: Array) -> int:
    return int(np.argmin(np.bincount(codes, minlength=2)))


def best_threshold(metric: Metric, truth: Array, probabilities: Array, positive: int) -> float:
    """The middle of the widest run of best thresholds; truth (n,) codes, probabilities (n, 2).

    Candidates lie halfway between neighbouring scores, so that no export's rounding moves a row across.
    """
    share = np.unique(probabilities[:, positive].astype(np.float64))
    between = (share[1:] + share[:-1]) / 2
    between = between[(between > 1e-6) & (between < 1 - 1e-6)]
    candidates = np.unique([*between[:: max(1, len(between) // _MOST)], 0.5])
    rules = [Decide((0, 1), float(candidate), positive) for candidate in candidates]
    values = np.asarray([metric(truth, rule.codes(probabilities)) for rule in rules])
    best = values >= values.max() - 1e-12 if metric.greater_is_better else values <= values.min() + 1e-12
    return float(candidates[_middle(best)])


def _middle(best: Array) -> int:
    """The index in the middle of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], best, [False]]).astype(int)))
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return int((starts[longest] + ends[longest] - 1) // 2)
