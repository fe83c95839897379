"""Intervals: trimmed means of log-ratios, shares, and bootstrap bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Interval:
    """A value and the bounds around it, on whatever scale they were computed."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def exp(self) -> Interval:
        """From logarithms to ratios."""
        return Interval(math.exp(self.value), math.exp(self.low), math.exp(self.high))

    def hull(self, other: Interval) -> Interval:
        """This value, with bounds that hold both intervals."""
        return Interval(self.value, min(self.low, other.low), max(self.high, other.high))

    def at_least(self, half_width: float | None) -> Interval:
        """This interval, or the same value with `half_width` where that is wider."""
        if half_width is None or half_width <= self.half_width:
            return self
        return Interval(self.value, self.value - half_width, self.value + half_width)


def yuen(sample: Array, level: float = 0.98, trim: float = 0.2) -> Interval:
    """Interval of the trimmed mean of `sample` (n >= 5,), by Student's t on the winsorised variance.

    level: nominal coverage; 0.98 is what to ask for when 95 % must hold under optional stopping
    (facts of our own: nominal 95 % covered 0.89 to 0.93). trim: share cut from each end, in [0, 0.5).
    Source: Yuen 1974, Biometrika 61; Tukey and McLaughlin 1963. Raises ValueError for fewer than two kept values.
    """
    from scipy.special import stdtrit

    x = np.sort(np.asarray(sample, dtype=np.float64))
    n = len(x)
    g = math.floor(trim * n)
    kept = n - 2 * g
    if kept < 2:
        raise ValueError(f"a trimmed mean needs at least two values after trimming, got {n} values, trim {trim:g}")
    mean = float(x[g : n - g].mean())
    winsorised = np.clip(x, x[g], x[n - g - 1])
    squares = float(((winsorised - winsorised.mean()) ** 2).sum())
    error = math.sqrt(squares / (kept * (kept - 1)))
    reach = float(stdtrit(kept - 1, (1 + level) / 2)) * error
    return Interval(mean, mean - reach, mean + reach)


def grouped(sample: Array, groups: Array, level: float = 0.95) -> float | None:
    """Half-width of the mean of `sample` (n,) by how the trimmed means of its `groups` (n,) differ; None below four.

    What a group has in common (a process's luck, a slow spell of the host) is no news the second time: pairs of one
    group count as one. This is the method of batch means; Student's t on k groups has k - 1 df.
    """
    from scipy.special import stdtrit

    found = _group_error(sample, groups)
    return None if found is None else float(stdtrit(found[1] - 1, (1 + level) / 2)) * found[0]


def _group_error(sample: Array, groups: Array) -> tuple[float, int] | None:
    """The standard error of the mean of the groups' trimmed means, and how many groups there are."""
    x, names = np.asarray(sample, dtype=np.float64), np.unique(groups)
    if len(names) < 4:
        return None
    means = np.array([_trimmed(x[groups == name]) for name in names])
    return float(means.std(ddof=1)) / math.sqrt(len(names)), len(names)


def _trimmed(sample: Array, trim: float = 0.2) -> float:
    x, g = np.sort(sample), math.floor(trim * len(sample))
    return float(x[g : len(x) - g].mean())


def p_value(sample: Array, groups: Array | None = None, trim: float = 0.2) -> float:
    """Two-sided p that the trimmed mean of `sample` (n >= 5,) is 0, by Yuen's t; no smaller than its `groups` allow."""
    from scipy.special import stdtrit

    found = yuen(sample, 0.5, trim)
    kept = len(sample) - 2 * math.floor(trim * len(sample))
    p = _tails(found.value, found.half_width / float(stdtrit(kept - 1, 0.75)), kept - 1)
    between = None if groups is None else _group_error(sample, groups)
    return p if between is None else max(p, _tails(found.value, between[0], between[1] - 1))


def _tails(value: float, error: float, freedom: int) -> float:
    from scipy.special import stdtr

    if error == 0:
        return 1.0 if value == 0 else 0.0
    return 2 * float(stdtr(freedom, -abs(value) / error))


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact bounds of a share seen as `hits` of `n`; Clopper and Pearson 1934."""
    from scipy.special import betaincinv

    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"hits lie in 0 to n and n >= 1, got {hits} of {n}")
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - tail))
    return low, high


def percentiles(draws: Array, level: float = 0.95) -> tuple[float, float]:
    """The central `level` of bootstrap draws, those that came out undefined left aside; NaN of none."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return math.nan, math.nan
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_counts(n: int, draws: int, rng: np.random.Generator) -> Array:
    """How often each of `n` rows is drawn, `draws` times over: (draws, n) int64, each row summing to n."""
    return rng.multinomial(n, np.full(n, 1 / n), size=draws)


def mean_interval(sample: Array, rng: np.random.Generator, level: float = 0.95, draws: int = 2000) -> Interval:
    """Percentile bootstrap of the mean of `sample` (n,)."""
    x = np.asarray(sample, dtype=np.float64)
    low, high = percentiles(bootstrap_counts(len(x), draws, rng) @ x / len(x), level)
    value = float(x.mean())
    return Interval(value, min(low, value), max(high, value))
