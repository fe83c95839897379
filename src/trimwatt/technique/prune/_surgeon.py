"""Which units of a layer to keep, and how the next layer makes up for the others: least squares on activations."""

from __future__ import annotations

import numpy as np

from trimwatt.workload import Array

_RIDGES = (1e-6, 1e-4, 1e-2)
_STEPS = 256


def keep(act: Array, outgoing: Array, kept: int, repair: bool) -> Array:
    """Sorted indices of the units to keep.

    act: activations (rows, units). outgoing: weights (units, out) of all layers behind. With repair the unit is taken
    out, again and again, whose loss costs the least once the others make up for it (Hassibi and Stork 1993); without,
    those go that send the least on.
    """
    if not repair:
        score = act.std(axis=0) * np.linalg.norm(outgoing, axis=1)
        return np.sort(np.argsort(-score, kind="stable")[:kept])
    covariance = np.cov(act, rowvar=False, bias=True).reshape(act.shape[1], -1)
    inverse = np.linalg.inv(covariance + np.eye(len(covariance)) * _floor(covariance, _RIDGES[0]))
    weights, left = outgoing.copy(), np.arange(act.shape[1])
    batch = max(1, len(left) // _STEPS)
    while len(left) > kept:
        cost = (weights**2).sum(axis=1) / np.diag(inverse)
        out = np.argsort(cost, kind="stable")[: min(batch, len(left) - kept)]
        stay = np.setdiff1d(np.arange(len(left)), out)
        carry = np.linalg.solve(inverse[np.ix_(out, out)], np.hstack([weights[out], inverse[np.ix_(out, stay)]]))
        cross = inverse[np.ix_(stay, out)]
        weights = weights[stay] - cross @ carry[:, : outgoing.shape[1]]
        inverse = inverse[np.ix_(stay, stay)] - cross @ carry[:, outgoing.shape[1] :]
        left = left[stay]
    return left


def refit(act: Array, target: Array, start: Array, free: bool) -> tuple[Array, Array]:
    """Weights (units, out) and bias (out,) by which `act` (rows, units) answers `target` (rows, out) best.

    Ridge regression that draws towards `start`, the weights there were; how strongly is chosen on every fifth row.
    free: whether there may be a bias; else it is zero.
    """
    test = np.arange(len(act)) % 5 == 4
    ridge = _RIDGES[0]
    if test.any() and not test.all():
        errors = [_error(_solve(act[~test], target[~test], start, free, r), act[test], target[test]) for r in _RIDGES]
        ridge = _RIDGES[int(np.argmin(errors))]
    return _solve(act, target, start, free, ridge)


def _error(fitted: tuple[Array, Array], act: Array, target: Array) -> float:
    return float(((act @ fitted[0] + fitted[1] - target) ** 2).mean())


def _solve(act: Array, target: Array, start: Array, free: bool, ridge: float) -> tuple[Array, Array]:
    middle = act.mean(axis=0) if free else np.zeros(act.shape[1])
    aim = target.mean(axis=0) if free else np.zeros(target.shape[1])
    centred = act - middle
    gram = centred.T @ centred
    rest = target - aim - centred @ start
    change = np.linalg.solve(gram + np.eye(len(gram)) * _floor(gram, ridge), centred.T @ rest)
    weights = start + change
    return weights, aim - middle @ weights


def _floor(gram: Array, ridge: float) -> float:
    """`ridge` of the mean variance; of 1 where nothing varies."""
    mean = float(np.trace(gram)) / len(gram)
    return ridge * (mean if mean > 0 else 1.0)
