"""The rank of a matrix that noise was added to, by variational Bayes: no knob, no data, a closed form."""

from __future__ import annotations

import numpy as np

from trimwatt.workload import Array

_GRID = 200
_ZOOMS = 3


def rank(matrix: Array) -> int:
    """How many singular values of `matrix` (l, m) stand out of noise of one size.

    The global solution of fully observed empirical variational Bayesian matrix factorization, the size of the noise
    chosen by the same free energy: Nakajima, Sugiyama, Babacan and Tomioka 2013, JMLR 14, 1-37, theorem 2 and (29).
    """
    short, long = sorted(matrix.shape)
    found = squares(matrix)[:short]
    if found[0] <= 0:
        return 0
    least = _least(short / long)
    return int(np.sum(found > long * _noise(found, short, long, least) * least))


def squares(matrix: Array) -> Array:
    """Squared singular values of a matrix (l, m), l of them, falling."""
    wide = np.asarray(matrix, dtype=np.float64)
    gram = wide @ wide.T if len(wide) <= wide.shape[1] else wide.T @ wide
    values = np.maximum(np.linalg.eigvalsh(gram)[::-1], 0)
    return np.concatenate([values, np.zeros(len(wide) - len(values))])


def _least(ratio: float) -> float:
    """The square of a singular value, in units of (long side x noise), from which it counts as signal."""
    from scipy.optimize import brentq

    def balance(tau: float) -> float:
        return float(sum(np.log1p(z) / z - 0.5 for z in (tau, tau / ratio)))

    tau = brentq(balance, 1e-6, 100.0)
    return float((1 + tau) * (1 + ratio / tau))


def _noise(found: Array, short: int, long: int, least: float) -> float:
    """The variance of the noise at which the free energy is lowest; it has several valleys, so the range is searched.

    The smallest singular values are noise at any rate, and all of them together bound it from above.
    """
    ratio = short / long
    most = min(int(np.ceil(short / (1 + ratio))) - 1, short - 1)
    tail = found[most:]
    high = found.sum() / (short * long)
    low = max(found[min(most, short - 1)] / (long * least), tail.mean() / long, high * 1e-12)
    edges = np.log(low), np.log(max(high, low))
    for _ in range(_ZOOMS):
        grid = np.linspace(*edges, _GRID)
        best = int(np.argmin(_free_energy(found, np.exp(grid), long, ratio, least)))
        edges = grid[max(best - 1, 0)], grid[min(best + 1, _GRID - 1)]
    return float(np.exp(grid[best]))


def _free_energy(found: Array, noise: Array, long: int, ratio: float, least: float) -> Array:
    """Up to a factor and a constant, for each entry of `noise`."""
    x = np.maximum(found[None, :] / (long * noise[:, None]), 1e-300)
    signal = np.where(x > least, x, least)
    half = signal - (1 + ratio)
    tau = (half + np.sqrt(np.maximum(half**2 - 4 * ratio, 0))) / 2
    kept = np.log1p(tau) + ratio * np.log1p(tau / ratio) - tau
    return np.asarray((x - np.log(x) + np.where(x > least, kept, 0)).sum(axis=1))
