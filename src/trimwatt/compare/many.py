"""Many candidates at once: what is dominated, which pairwise claims hold together, and how sure a rank is.

Energy and quality are resampled together: each draw takes rounds of blocks and rows of data anew, and a candidate is
called dominated only if another beat it in nearly all draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.compare.statistics import Array, percentiles
from trimwatt.metric import Metric

DRAWS = 2000


def cost_draws(logs: Array | Sequence[Array], rng: np.random.Generator, draws: int = DRAWS) -> Array:
    """Bootstrap draws (draws, k) of the trimmed mean of each candidate's log-cost.

    logs: (rounds, k) from complete blocks, whose rounds are drawn for all candidates together; or k arrays (n_i,) of
    log-ratios to one baseline, each drawn alone.
    """
    if isinstance(logs, np.ndarray) and logs.ndim == 2:
        index = rng.integers(0, len(logs), (draws, len(logs)))
        return _trimmed(logs[index])
    return np.stack([_trimmed(np.asarray(x)[rng.integers(0, len(x), (draws, len(x)))]) for x in logs], axis=1)


def _trimmed(sample: Array, trim: float = 0.2) -> Array:
    """The trimmed mean along axis 1."""
    n = sample.shape[1]
    g = int(trim * n)
    return np.asarray(np.sort(sample, axis=1)[:, g : n - g].mean(axis=1))


def cost_draws_from_intervals(
    ratios: Sequence[tuple[float, float, float]], rng: np.random.Generator, draws: int = DRAWS
) -> Array:
    """The same (draws, k) where only each candidate's ratio to one baseline is left: (value, low, high).

    Taken for normal logarithms whose central 95 % is the interval, the wider of both sides; (1, 1, 1) is the baseline.
    """
    value, low, high = (np.log(np.array(column, dtype=np.float64)) for column in zip(*ratios, strict=True))
    reach = np.maximum(high - value, value - low) / 1.96
    return np.asarray(value + reach * rng.standard_normal((draws, len(value))))


def quality_draws(
    metric: Metric, truth: Array, predictions: Sequence[Array], rng: np.random.Generator, draws: int = DRAWS,
    fold: Array | None = None,
) -> Array:  # fmt: skip
    """Bootstrap draws (draws, k) of the quality of k candidates, all on the same rows of each draw.

    predictions: of each, as `metric.reads` says. fold: (n,) in which each row was held out, within which ranks are
    compared.
    """
    n = len(truth)
    made = np.empty((draws, len(predictions)))
    # ranks are made once, and each draw weighs them
    within = [metric.on(truth, prediction, fold) for prediction in predictions] if metric.ranking is not None else []
    for d in range(draws):
        index = rng.integers(0, n, n)
        if within:
            weights = np.bincount(index, minlength=n).astype(np.float64)
            made[d] = [quality(weights) for quality in within]
            continue
        made[d] = [metric(truth[index], prediction[index]) for prediction in predictions]
    return made


def dominated_share(cost: Array, quality: Array, greater_is_better: bool = True) -> Array:
    """In which share of draws each candidate is beaten (k,): another costs no more, is no worse, and betters it in one.

    cost, quality: (draws, k), draw by draw from the same resample. NaN is neither better nor worse than anything.
    """
    q = quality if greater_is_better else -quality
    beaten = np.zeros(cost.shape, dtype=bool)
    for j in range(cost.shape[1]):
        c_j, q_j = cost[:, [j]], q[:, [j]]
        beaten |= (c_j <= cost) & (q_j >= q) & ((c_j < cost) | (q_j > q))
    return np.asarray(beaten.mean(axis=0))


def dominated(cost: Array, quality: Array, greater_is_better: bool = True, share: float = 0.95) -> frozenset[int]:
    """Indices of the candidates that are beaten in at least `share` of the draws."""
    return frozenset(int(i) for i in np.flatnonzero(dominated_share(cost, quality, greater_is_better) >= share))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: rejecting those below a level keeps the chance of any false one below it.

    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return [float(value) for value in adjusted]


@dataclass(frozen=True)
class Rank:
    """1 is the cheapest; low and high hold 95 % of the resamples."""

    value: int
    low: int
    high: int

    def to_dict(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high}


def rank_intervals(cost: Array, observed: Array | None = None, level: float = 0.95) -> list[Rank]:
    """The rank of each of k candidates by cost, with its bounds over the draws.

    cost: (draws, k), see `cost_draws`. observed: the costs (k,) as measured; the draws' mean unless given. Candidates
    that cost the same share the better rank.
    """
    centre = cost.mean(axis=0) if observed is None else np.asarray(observed)
    value = 1 + (centre[None, :] < centre[:, None]).sum(axis=1)
    ranks = 1 + (cost[:, None, :] < cost[:, :, None]).sum(axis=2)
    bounds = [percentiles(ranks[:, i].astype(np.float64), level) for i in range(len(centre))]
    return [
        Rank(int(v), int(min(np.floor(low), v)), int(max(np.ceil(high), v)))
        for v, (low, high) in zip(value, bounds, strict=True)
    ]
