"""Quality metrics: numpy only, each with row weights so that the bootstrap can resample any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from trimwatt.errors import InputError

Array = np.ndarray[Any, Any]
Reads = Literal["labels", "probabilities", "values"]


@dataclass(frozen=True)
class Metric:
    """A named figure of merit.

    function(truth, prediction, weights) -> float. truth: class codes (n,), labels of 0 and 1 (n, k) or values (n,).
    prediction: what `reads` says: class codes (n,) or labels (n, k), probabilities (n, k) or values (n,). weights: (n,)
    non-negative.
    relative: a drop is a share of the baseline's value (errors) and not in the metric's own unit.
    ranking(truth, prediction, blocks) -> function of weights: for a metric of pairs of rows, of which only those of the
    same block are compared, since the scores of two models share no scale; what depends on no weights is done once.
    counting(truth, prediction) -> function of weights: the same for a metric of rows by themselves.
    argmax_is_best: whether no labels are better on average than those of the most probable class; False for one by
    which rare classes count as much as common ones, which a threshold, or weights on rows, can raise.
    median_is_best: whether of all values the median of what may come is best, rather than the mean.
    """

    name: str
    function: Callable[[Array, Array, Array], float]
    greater_is_better: bool
    reads: Reads
    relative: bool = False
    custom: bool = False
    ranking: Callable[[Array, Array, Array | None], Callable[[Array], float]] | None = None
    counting: Callable[[Array, Array], Callable[[Array], float]] | None = None
    argmax_is_best: bool = True
    median_is_best: bool = False

    def __call__(self, truth: Array, prediction: Array, weights: Array | None = None) -> float:
        return float(self.function(truth, prediction, np.ones(len(truth)) if weights is None else weights))

    def on(self, truth: Array, prediction: Array, blocks: Array | None = None) -> Callable[[Array], float]:
        """The metric of these rows as a function of their weights; a ranking is one within `blocks` (n,)."""
        if self.ranking is not None:
            return self.ranking(truth, prediction, blocks)
        if self.counting is not None:
            return self.counting(truth, prediction)
        return lambda weights: self(truth, prediction, weights)

    def floor(self, baseline: float, max_drop: float) -> float:
        """The least acceptable value (the greatest, for an error) given the baseline's."""
        step = abs(baseline) * max_drop if self.relative else max_drop
        return baseline - step if self.greater_is_better else baseline + step

    def meets(self, value: float, floor: float) -> bool:
        """Whether `value` is at least as good as `floor`."""
        return value >= floor if self.greater_is_better else value <= floor


def _accuracy(truth: Array, label: Array, weights: Array) -> float:
    return float(weights @ (truth == label) / weights.sum())


def _f1_of(truth: Array, label: Array, weights: Array, code: int) -> float:
    hit = float(weights @ ((truth == code) & (label == code)))
    asked, said = float(weights @ (truth == code)), float(weights @ (label == code))
    return 2 * hit / (asked + said) if asked + said else 0.0


def _f1(positive: int | None) -> Callable[[Array, Array, Array], float]:
    def f1(truth: Array, label: Array, weights: Array) -> float:
        if positive is not None:
            return _f1_of(truth, label, weights, positive)
        codes = np.union1d(truth, label)
        return float(np.mean([_f1_of(truth, label, weights, int(code)) for code in codes]))

    return f1


def _auc_of(positive: Array, score: Array, blocks: Array | None) -> Callable[[Array], float]:
    rank = np.unique(score, return_inverse=True)[1]
    block = np.zeros(len(score), np.int64) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    order = np.argsort(block * len(score) + rank, kind="stable")
    hits, block = positive[order], block[order]
    key = block * len(score) + rank[order]
    # of a row: where those of its block and score begin and end, and where its block does
    first, last = np.searchsorted(key, key, side="left"), np.searchsorted(key, key, side="right")
    start, end = np.searchsorted(block, block, side="left"), np.searchsorted(block, block, side="right")

    def auc_of(weights: Array) -> float:
        w = weights[order]
        below = np.concatenate([[0.0], np.cumsum(w * ~hits)])
        pairs = float((w * hits) @ (below[end] - below[start]))
        won = float((w * hits) @ ((below[first] + below[last]) / 2 - below[start]))
        return won / pairs if pairs else float("nan")

    return auc_of


def _auc(positive: int | None) -> Callable[[Array, Array, Array | None], Callable[[Array], float]]:
    def auc(truth: Array, probability: Array, blocks: Array | None) -> Callable[[Array], float]:
        codes = np.unique(truth) if positive is None else [positive]
        each = [_auc_of(truth == c, probability[:, c], blocks) for c in codes]
        return lambda weights: float(np.mean([of(weights) for of in each]))

    return auc


def _mae(truth: Array, value: Array, weights: Array) -> float:
    return float(weights @ np.abs(truth - value) / weights.sum())


def _rmse(truth: Array, value: Array, weights: Array) -> float:
    return float(np.sqrt(weights @ (truth - value) ** 2 / weights.sum()))


def _r2(truth: Array, value: Array, weights: Array) -> float:
    mean = weights @ truth / weights.sum()
    spread = float(weights @ (truth - mean) ** 2)
    return 1 - float(weights @ (truth - value) ** 2) / spread if spread else float("nan")


def get(name: str, positive: int | None = None, naive_error: float | None = None) -> Metric:
    """The metric called `name`.

    positive: code of the positive class for f1 and auc; None averages over classes. naive_error: mean absolute
    one-step change of the training target, the scale of mase. Raises InputError for an unknown name.
    """
    auc = _auc(positive)
    known = {
        "accuracy": Metric("accuracy", _accuracy, True, "labels"),
        "f1": Metric("f1", _f1(positive), True, "labels", argmax_is_best=False),
        "auc": Metric("auc", lambda t, p, w: auc(t, p, None)(w), True, "probabilities", ranking=auc),
        "mae": Metric("mae", _mae, False, "values", relative=True, median_is_best=True),
        "rmse": Metric("rmse", _rmse, False, "values", relative=True),
        "r2": Metric("r2", _r2, True, "values"),
        "mase": Metric(
            "mase", lambda t, v, w: _mae(t, v, w) / (naive_error or np.nan), False, "values", relative=True,
            median_is_best=True,
        ),
    }  # fmt: skip
    if name not in known:
        raise InputError(f"metric {name!r} is unknown; use {', '.join(known)} or package.module:callable")
    return known[name]
