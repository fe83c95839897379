"""Two samples whose runs do not belong together in pairs: intervals, effect size, and how many runs a claim needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trimwatt.compare.statistics import Array, Interval, percentiles

# runs of one arm below which nothing is claimed: with fewer, a fifth cut from each end cuts nothing
LEAST_RUNS = 5
TRIM = 0.2


@dataclass(frozen=True)
class Trimmed:
    """A trimmed mean: its value, squared standard error, kept values, and the spread one run brings to it."""

    mean: float
    squared_error: float
    kept: int
    spread: float


def trimmed(sample: Array, trim: float = TRIM) -> Trimmed:
    """The trimmed mean of `sample` (n >= 3,) with its winsorised error; trim: share cut from each end, in [0, 0.5).

    spread is the standard error times the root of n: what n runs divide by their root.
    """
    x = np.sort(np.asarray(sample, dtype=np.float64))
    n, g = len(x), math.floor(trim * len(x))
    kept = n - 2 * g
    if kept < 2:
        raise ValueError(f"a trimmed mean needs two values after trimming, got {n} values, trim {trim:g}")
    clipped = np.clip(x, x[g], x[n - g - 1])
    squares = float(((clipped - clipped.mean()) ** 2).sum()) / (kept * (kept - 1))
    return Trimmed(float(x[g : n - g].mean()), squares, kept, math.sqrt(squares * n))


def yuen_welch(a: Array, b: Array, level: float = 0.95, trim: float = TRIM) -> Interval:
    """Interval of the difference a - b of trimmed means, the spreads of the two free to differ.

    a (n,), b (m,). Source: Yuen 1974, Biometrika 61, with Welch's degrees of freedom.
    """
    from scipy.special import stdtrit

    x, y = trimmed(a, trim), trimmed(b, trim)
    squared = x.squared_error + y.squared_error
    value = x.mean - y.mean
    if squared == 0:
        return Interval(value, value, value)
    freedom = squared**2 / (x.squared_error**2 / (x.kept - 1) + y.squared_error**2 / (y.kept - 1))
    reach = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(squared)
    return Interval(value, value - reach, value + reach)


def bootstrap(
    a: Array, b: Array, level: float = 0.95, trim: float = TRIM, draws: int = 4000, seed: int = 0
) -> Interval:
    """The same difference by percentile bootstrap, each sample resampled on its own; Efron 1979, Annals 7."""
    rng = np.random.default_rng(seed)
    value = trimmed(a, trim).mean - trimmed(b, trim).mean
    low, high = percentiles(_resampled(a, trim, draws, rng) - _resampled(b, trim, draws, rng), level)
    return Interval(value, min(low, value), max(high, value))


def _resampled(sample: Array, trim: float, draws: int, rng: np.random.Generator) -> Array:
    n, g = len(sample), math.floor(trim * len(sample))
    rows = np.sort(np.asarray(sample)[rng.integers(0, n, (draws, n))], axis=1)
    return np.asarray(rows[:, g : n - g].mean(axis=1))


def mean_difference(a: Array, b: Array, level: float = 0.95, draws: int = 4000, seed: int = 0) -> Interval:
    """Interval of mean(a) - mean(b) by percentile bootstrap, for bounded values such as an accuracy."""
    return bootstrap(a, b, level, 0.0, draws, seed)


@dataclass(frozen=True)
class Delta:
    """Cliff's delta in [-1, 1] with its interval: P(a > b) - P(a < b); -1 is every run of a below every run of b."""

    value: float
    low: float
    high: float

    @property
    def size(self) -> str:
        """negligible | small | medium | large, by Romano et al. 2006."""
        steps = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"))
        return next((name for limit, name in steps if abs(self.value) < limit), "large")

    def to_dict(self) -> dict[str, float | str]:
        return {"value": self.value, "low": self.low, "high": self.high, "size": self.size}


def cliffs_delta(a: Array, b: Array, level: float = 0.95) -> Delta:
    """Cliff's delta of `a` (n >= 2,) against `b` (m >= 2,), with the asymmetric interval for its skewed spread.

    Source: Cliff 1993, Psychological Bulletin 114; interval of Feng and Cliff 2004, its equation for unpaired data.
    """
    from scipy.special import ndtri

    signs = np.sign(np.asarray(a)[:, None] - np.asarray(b)[None, :])
    n, m = signs.shape
    value = float(signs.mean())
    if abs(value) == 1:
        # nothing overlaps, so no spread is seen: what overlap would still go unseen this often
        edge = 2 * (1 - level) ** (1 / min(n, m)) - 1
        return Delta(value, edge, 1.0) if value > 0 else Delta(value, -1.0, -edge)
    rows, columns = signs.mean(axis=1) - value, signs.mean(axis=0) - value
    within = float(((signs - value) ** 2).sum())
    squared = (m**2 * float((rows**2).sum()) + n**2 * float((columns**2).sum()) - within) / (n * m * (n - 1) * (m - 1))
    squared = max(squared, (1 - value**2) / (n * m - 1))
    z = float(ndtri((1 + level) / 2))
    base, root = value - value**3, z * math.sqrt(squared) * math.sqrt((1 - value**2) ** 2 + z**2 * squared)
    below = 1 - value**2 + z**2 * squared
    return Delta(value, max(-1.0, (base - root) / below), min(1.0, (base + root) / below))


def runs_needed(a: Array, b: Array, difference: float, *, power: float = 0.8, level: float = 0.95) -> int | None:
    """Runs of each arm with which a true difference of this size is told from none in a share `power` of studies.

    a, b: what was seen, for their spread. power 0.5 is an interval that just reaches `difference` to either side.
    None where the difference is 0. Never below LEAST_RUNS. Normal approximation (Lehr 1992 has the plain case).
    """
    from scipy.special import ndtri

    if difference == 0:
        return None
    spread = trimmed(a).spread ** 2 + trimmed(b).spread ** 2
    reach = float(ndtri((1 + level) / 2)) + float(ndtri(power))
    return max(LEAST_RUNS, math.ceil(spread * reach**2 / difference**2))


def lag_one(sample: Array) -> float:
    """Correlation of each value with the next one in order, 0 where nothing varies."""
    x = np.asarray(sample, dtype=np.float64) - float(np.mean(sample))
    squares = float(x @ x)
    return float(x[1:] @ x[:-1]) / squares if squares else 0.0
