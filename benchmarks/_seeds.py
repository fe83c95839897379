"""The interval of a difference in quality between two ways to train, over rows and seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from trimwatt.workload import Array

DRAWS = 500


def gained(gap: Callable[[Array, int], float], rows: int, seeds: int) -> dict[str, float]:
    """The mean of `gap(rows, seed)` over seeds, with its 95 % interval.

    The part of rows is that of bootstrap draws of them, the part of seeds Student's for so few; of one seed nothing is
    known of the latter. Both are taken as independent, so their squares add up.
    """
    rng = np.random.default_rng(0)
    each = np.array([gap(np.arange(rows), seed) for seed in range(seeds)])
    drawn = [np.mean([gap(index, seed) for seed in range(seeds)]) for index in rng.integers(0, rows, (DRAWS, rows))]
    half = 1.96 * float(np.std(drawn))
    if seeds > 1:
        half = float(np.hypot(half, stats.t.ppf(0.975, seeds - 1) * each.std(ddof=1) / seeds**0.5))
    mean = float(each.mean())
    return {"value": mean, "low": mean - half, "high": mean + half}
