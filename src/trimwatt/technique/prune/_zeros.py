"""Which weights to zero: masks by size or by lot, over all layers, in each, or n of every m."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trimwatt.workload import Array


def ranked(weights: Mapping[str, Array], by: str, seed: int) -> dict[str, Array]:
    """What each weight is worth: its absolute value, or a number drawn by lot."""
    if by == "magnitude":
        return {name: np.abs(weight) for name, weight in weights.items()}
    rng = np.random.default_rng(seed)
    return {name: np.asarray(rng.random(weight.shape)) for name, weight in weights.items()}


def masks(worth: Mapping[str, Array], share: float, scope: str) -> dict[str, Array]:
    """True where a weight stays; `share` of the weights goes, of all together ("global") or of each ("layer")."""
    if scope == "layer":
        return {name: _largest(array.ravel(), share).reshape(array.shape) for name, array in worth.items()}
    flat = _largest(np.concatenate([array.ravel() for array in worth.values()]), share)
    ends = np.cumsum([array.size for array in worth.values()])[:-1]
    pieces = np.split(flat, ends)
    return {name: piece.reshape(array.shape) for (name, array), piece in zip(worth.items(), pieces, strict=True)}


def _largest(worth: Array, share: float) -> Array:
    kept = np.ones(worth.size, dtype=bool)
    gone = round(share * worth.size)
    if gone:
        kept[np.argpartition(worth, gone - 1)[:gone]] = False
    return kept


def n_of_m(worth: Array, n: int, m: int, axis: int) -> Array | None:
    """True for the n largest of every m neighbours along `axis`; None where its length is no multiple of m."""
    moved = np.moveaxis(worth, axis, -1)
    if moved.shape[-1] % m:
        return None
    grouped = moved.reshape(*moved.shape[:-1], -1, m)
    order = np.argsort(np.argsort(-grouped, axis=-1, kind="stable"), axis=-1, kind="stable")
    return np.moveaxis((order < n).reshape(moved.shape), -1, axis)


def share_at(final: float, done: float, rounds: int, until: float = 0.75) -> float:
    """The share to be zero once `done` of training is over (Zhu and Gupta 2017: a cubic that flattens out).

    It rises in `rounds` equal stretches of the first `until` of training, the first at its start; one round is all of
    it at once.
    """
    if rounds == 1:
        return final
    step = min(rounds, int(done / until * rounds) + 1)
    return final * (1 - (1 - step / rounds) ** 3)
