"""Second-order steps on one layer: what is rounded or removed is made up for by the rest, in closed form.

A layer answers X W' for rows of features X. Its squared error under a change of weights is quadratic, with the
Hessian H = X'X shared by all outputs: LeCun et al. 1990, Hassibi and Stork 1993, Frantar and Alistarh 2022.
"""

from __future__ import annotations

import numpy as np

from trimwatt.workload import Array

_BLOCK, _STEPS = 128, 256


def damped(hessian: Array, damp: float) -> Array:
    """The Hessian (features, features) with a share of its mean diagonal added; features never seen count as one."""
    mean = float(np.diag(hessian).mean())
    return hessian + np.diag(damp * mean + np.where(silent(hessian), mean or 1.0, 0.0))


def silent(hessian: Array) -> Array:
    """Which features were always zero (features,): their weights answer nothing."""
    seen = np.diag(hessian)
    return np.asarray(seen <= 1e-12 * max(float(seen.mean()), 1e-30))


def error(change: Array, hessian: Array) -> Array:
    """Squared error (out,) of a layer's answers when its weights change by `change` (out, features)."""
    return np.asarray(np.einsum("of,of->o", change @ hessian, change))


def round_weights(weights: Array, hessian: Array, step: Array, top: int, damp: float = 0.01) -> Array:
    """Levels (out, features) on the grid step * [-top, top] by which the layer answers nearly as before.

    Features are rounded one after the other, those that matter most first; the error of each is spread over those
    still to come (GPTQ, Frantar et al. 2022). An output that plain rounding serves better keeps that.
    """
    order = np.argsort(-np.diag(hessian), kind="stable")
    back = np.argsort(order)
    spread = np.linalg.cholesky(np.linalg.inv(damped(hessian, damp)[np.ix_(order, order)])).T
    left, grid = weights[:, order].copy(), step[:, order]
    levels = np.empty_like(left)
    for start in range(0, left.shape[1], _BLOCK):
        stop = min(start + _BLOCK, left.shape[1])
        owed = np.empty((len(left), stop - start))
        for k in range(start, stop):
            levels[:, k] = np.clip(np.rint(left[:, k] / grid[:, k]), -top, top)
            debt = (left[:, k] - levels[:, k] * grid[:, k]) / spread[k, k]
            left[:, k:stop] -= debt[:, None] * spread[k, k:stop]
            owed[:, k - start] = debt
        left[:, stop:] -= owed @ spread[start:stop, stop:]
    found, plain = levels[:, back], np.clip(np.rint(weights / step), -top, top)
    worse = error(found * step - weights, hessian) > error(plain * step - weights, hessian)
    return np.where(worse[:, None], plain, found)


def remove_groups(weights: Array, hessian: Array, groups: Array, kept: int, damp: float = 1e-4) -> tuple[Array, Array]:
    """Take groups of features out, the cheapest first, the rest making up for each (Hassibi and Stork 1993).

    A 256th of the groups goes at a time, one by one where there are fewer.

    groups: for each feature its group 0.., or -1 where it must stay. Returns the sorted groups that are kept, and
    weights (out, features) with zeros where features are gone: the least squares fit of what is left.
    """
    weights, inverse = np.where(silent(hessian), 0, weights), np.linalg.inv(damped(hessian, damp))
    places = [np.flatnonzero(groups == g) for g in range(int(groups.max()) + 1)]
    alive = list(range(len(places)))
    batch = max(1, len(places) // _STEPS)
    while len(alive) > kept:
        costs = _costs(weights, inverse, [places[g] for g in alive])
        gone = np.argsort(costs, kind="stable")[: min(batch, len(alive) - kept)]
        _take_out(weights, inverse, np.concatenate([places[alive[g]] for g in gone]))
        alive = [g for k, g in enumerate(alive) if k not in set(gone.tolist())]
    return np.array(alive), weights


def _costs(weights: Array, inverse: Array, places: list[Array]) -> Array:
    """What removing each group adds to the squared error, all outputs together."""
    if len({len(place) for place in places}) == 1:
        index = np.stack(places)
        blocks = inverse[index[:, :, None], index[:, None, :]]
        parts = weights.T[index]  # (groups, features, out)
        return np.asarray((parts * np.linalg.solve(blocks, parts)).sum(axis=(1, 2)))
    return np.array([
        (weights[:, place].T * np.linalg.solve(inverse[np.ix_(place, place)], weights[:, place].T)).sum()
        for place in places
    ])  # fmt: skip


def _take_out(weights: Array, inverse: Array, place: Array) -> None:
    """Set features to zero and move the others by the closed form; leave them out of the inverse (in place)."""
    carry = np.linalg.solve(inverse[np.ix_(place, place)], inverse[place])
    weights -= weights[:, place] @ carry
    inverse -= inverse[:, place] @ carry
    weights[:, place] = 0
    inverse[place], inverse[:, place] = 0, 0


def mask_weights(
    weights: Array, hessian: Array, share: float, pattern: tuple[int, int] | None, damp: float = 0.01
) -> Array:
    """Weights with a share of zeros, the others made up for them (SparseGPT, Frantar and Alistarh 2023).

    pattern: (n, m) leaves n of each m neighbours in place of a share.
    """
    spread = np.linalg.cholesky(np.linalg.inv(damped(hessian, damp))).T
    left, size = np.where(silent(hessian), 0, weights), pattern[1] if pattern else _BLOCK
    for start in range(0, left.shape[1], size):
        stop = min(start + size, left.shape[1])
        saliency = np.square(left[:, start:stop] / np.diag(spread)[start:stop])
        gone = _cheapest(saliency, share, pattern)
        owed = np.zeros((len(left), stop - start))
        for k in range(start, stop):
            debt = np.where(gone[:, k - start], left[:, k], 0) / spread[k, k]
            left[:, k:stop] -= debt[:, None] * spread[k, k:stop]
            left[gone[:, k - start], k] = 0
            owed[:, k - start] = debt
        left[:, stop:] -= owed @ spread[start:stop, stop:]
    return left


def _cheapest(saliency: Array, share: float, pattern: tuple[int, int] | None) -> Array:
    """Which entries go."""
    if pattern is None:
        many = round(share * saliency.size)
        gone = np.zeros(saliency.size, bool)
        gone[np.argsort(saliency, axis=None, kind="stable")[:many]] = True
        return gone.reshape(saliency.shape)
    many = max(0, saliency.shape[1] - pattern[0])
    places = np.argsort(saliency, axis=1, kind="stable")[:, :many]
    gone = np.zeros(saliency.shape, bool)
    np.put_along_axis(gone, places, True, axis=1)
    return gone
