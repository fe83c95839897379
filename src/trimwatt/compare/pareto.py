"""Which candidates no other beats on both energy and quality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trimwatt.compare.statistics import Array


def front(cost: Sequence[float] | Array, quality: Sequence[float] | Array, greater_is_better: bool = True) -> Array:
    """Whether each candidate is on the front (n,): none costs no more with quality no worse and betters it in one.

    A candidate with NaN in either is never on the front; candidates equal in both are on it together.
    """
    c = np.asarray(cost, dtype=np.float64)
    q = np.asarray(quality, dtype=np.float64) * (1 if greater_is_better else -1)
    known = np.isfinite(c) & np.isfinite(q)
    no_worse = (c[:, None] <= c) & (q[:, None] >= q)
    better = (c[:, None] < c) | (q[:, None] > q)
    beaten = (no_worse & better & known[:, None]).any(axis=0)
    return known & ~beaten
