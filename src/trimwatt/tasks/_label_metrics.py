"""Metrics of several labels, 0 or 1 each: truth and prediction are (n, k)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trimwatt.errors import InputError
from trimwatt.metric import Metric
from trimwatt.tasks._base import Array

OfWeights = Callable[[Array], float]


def _counts(truth: Array, prediction: Array) -> Callable[[Array], tuple[Array, Array]]:
    """Of weights (n,), for each label (k,): rows that rightly get it, and those that get it plus those that have it."""
    hits = ((truth == 1) & (prediction == 1)).astype(np.float64)
    both = (truth == 1).astype(np.float64) + (prediction == 1)
    return lambda weights: (weights @ hits, weights @ both)


def _macro(truth: Array, prediction: Array) -> OfWeights:
    counts = _counts(truth, prediction)

    def macro(weights: Array) -> float:
        hits, both = counts(weights)
        return float(np.mean(np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)))

    return macro


def _micro(truth: Array, prediction: Array) -> OfWeights:
    counts = _counts(truth, prediction)

    def micro(weights: Array) -> float:
        hits, both = (float(part.sum()) for part in counts(weights))
        return 2 * hits / both if both else 0.0

    return micro


def _hamming(truth: Array, prediction: Array) -> OfWeights:
    wrong = (truth != prediction).mean(axis=1)
    return lambda weights: float(weights @ wrong / weights.sum())


def _exact(truth: Array, prediction: Array) -> OfWeights:
    right = (truth == prediction).all(axis=1).astype(np.float64)
    return lambda weights: float(weights @ right / weights.sum())


_KNOWN: dict[str, tuple[Callable[[Array, Array], OfWeights], bool]] = {
    "f1-macro": (_macro, True), "f1-micro": (_micro, True), "hamming": (_hamming, False), "exact": (_exact, True),
}  # fmt: skip
NAMES = ("f1-macro", "f1-micro", "f1", "hamming", "exact")


def get(name: str, label: int | None = None) -> Metric:
    """f1-macro is the mean of the labels' F1, f1-micro that of all decisions together, f1 that of `label` alone.

    hamming is the share of wrong decisions, exact the share of rows without any. Raises InputError for other names.
    """
    made, greater = _KNOWN["f1-macro"] if name == "f1" and label is not None else _KNOWN.get(name, (None, True))
    if made is None:
        raise InputError(f"metric {name!r} is none of labels; use {', '.join(NAMES)}")
    one = slice(None) if name != "f1" or label is None else slice(label, label + 1)

    def counting(truth: Array, prediction: Array) -> OfWeights:
        return made(truth[:, one], prediction[:, one])

    return Metric(
        name, lambda t, p, w: counting(t, p)(w), greater, "labels", relative=not greater, counting=counting,
        argmax_is_best=False,
    )  # fmt: skip
