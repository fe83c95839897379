"""Where two sets of answers to the same rows differ: by their labels, or by more than rounding can explain."""

from __future__ import annotations

import numpy as np

from trimwatt.framework.own import Answer
from trimwatt.workload import Array, Decide


def differing(first: Answer, second: Answer, bound: float, decide: Decide | None = None) -> Array:
    """Numbers of the rows of `second` that `first`, whose leading rows are the same ones, answers otherwise.

    Scores may differ by `bound`, absolute for probabilities, a share of the spread for values. Labels may not, unless
    the scores of `first` leave them open within that bound. decide: how labels are chosen, None for the most probable.
    """
    return np.flatnonzero(other_scores(first, second, bound) | other_labels(first, second, bound, decide))


def other_scores(first: Answer, second: Answer, bound: float) -> Array:
    """Whether scores are further apart than `bound` (n,); False where one of the two has none."""
    n = len(second)
    if first.scores is None or second.scores is None:
        return np.zeros(n, dtype=bool)
    return distances(first.scores[:n], second.scores, first.codes is not None) > bound


def other_labels(first: Answer, second: Answer, bound: float, decide: Decide | None = None) -> Array:
    """Whether labels differ where the scores of `first` tell them apart (n,)."""
    n = len(second)
    if first.codes is None or second.codes is None:
        return np.zeros(n, dtype=bool)
    apart: Array = first.codes[:n] != second.codes
    return apart if first.scores is None else apart & ((decide or Decide(())).margin(first.scores[:n]) > 2 * bound)


def distances(first: Array, second: Array, classify: bool) -> Array:
    """Of each row the largest difference of scores (n,), for values as a share of their spread; NaN equals NaN."""
    n = len(second)
    a, b = (np.asarray(scores, dtype=np.float64).reshape(n, -1) for scores in (first, second))
    finite = a[np.isfinite(a)]
    spread = 1.0 if classify else max(float(np.ptp(finite)) if len(finite) else 0.0, 1e-12)
    with np.errstate(invalid="ignore"):
        gaps = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b) / spread)
    return np.asarray(np.nan_to_num(gaps, nan=np.inf).max(axis=1, initial=0.0))
