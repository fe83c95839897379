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
    from scipy.linalg import svdvals

    short, long = sorted(matrix.shape)
    squares = svdvals(np.asarray(matrix, dtype=np.float64)) ** 2
    if squares[0] <= 0:
        return 0
    ratio = short / long
    least = _least(ratio)
    noise = _noise(squares, short, long, least)
    return int(np.sum(squares > long * noise * least))


def _least(ratio: float) -> float:
    """The square of a singular value, in units of (long side x noise), from which it counts as signal."""
    from scipy.optimize import brentq

    def balance(tau: float) -> float:
        return sum(np.log1p(z) / z - 0.5 for z in (tau, tau / ratio))

    tau = brentq(balance, 1e-6, 100.0)
    return float((1 + tau) * (1 + ratio / tau))


def _noise(squares: Array, short: int, long: int, least: float) -> float:
    """The variance of the noise at which the free energy is lowest; it has several valleys, so the range is searched.

    The smallest singular values are noise at any rate, and all of them together bound it from above.
    """
    ratio = short / long
    most = min(int(np.ceil(short / (1 + ratio))) - 1, short - 1)
    tail = squares[most:]
    high = squares.sum() / (short * long)
    low = max(squares[min(most, short - 1)] / (long * least), tail.mean() / long, high * 1e-12)
    edges = np.log(low), np.log(max(high, low))
    for _ in range(_ZOOMS):
        grid = np.linspace(*edges, _GRID)
        best = int(np.argmin(_free_energy(squares, np.exp(grid), long, ratio, least)))
        edges = grid[max(best - 1, 0)], grid[min(best + 1, _GRID - 1)]
    return float(np.exp(grid[best]))


def _free_energy(squares: Array, noise: Array, long: int, ratio: float, least: float) -> Array:
    """Up to a factor and a constant, for each entry of `noise`."""
    x = np.maximum(squares[None, :] / (long * noise[:, None]), 1e-300)
    signal = np.where(x > least, x, least)
    half = signal - (1 + ratio)
    tau = (half + np.sqrt(np.maximum(half**2 - 4 * ratio, 0))) / 2
    kept = np.log1p(tau) + ratio * np.log1p(tau / ratio) - tau
    return np.asarray((x - np.log(x) + np.where(x > least, kept, 0)).sum(axis=1))
