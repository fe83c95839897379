"""Rows parted into shares or folds: stratified, or with groups and moments kept whole; seeded."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from trimwatt.errors import InputError

Array = np.ndarray[Any, Any]


def indices(
    codes: Array, shares: Sequence[float], seed: int,
    group: Array | None = None, time: Array | None = None, twins: Array | None = None,
) -> list[Array]:  # fmt: skip
    """Row numbers (ascending) of each share; `codes` are the strata.

    group: no group falls into two shares. time: the earliest rows come first, rows of one moment stay together.
    twins: like group, for many small ones; where neither group nor time is given.
    """
    if time is not None:
        where = _by_time(time, shares)
    elif group is not None:
        where = _by_group(codes, group, shares, seed)
    elif twins is not None:
        where = _by_twins(codes, twins, shares, seed)
    else:
        where = _by_stratum(codes, shares, seed)
    return [np.flatnonzero(where == number) for number in range(len(shares))]


def hold_out(
    rows: int, held: int, codes: Array | None, seed: int,
    group: Array | None = None, time: Array | None = None, twins: Array | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """Numbers (ascending) of the rows to fit on and of about `held` held out; codes: their classes, None for values.

    Rows that belong together stay on one side, the latest are held out; where that leaves a side empty, as if nothing
    belonged together.
    """
    if group is not None or time is not None or twins is not None:
        strata, shares = np.zeros(rows, np.int64) if codes is None else codes, (1 - held / rows, held / rows)
        with contextlib.suppress(InputError):
            fit, out = indices(strata, shares, seed, group, time, twins)
            if len(fit) and len(out):
                return fit, out
    rng = np.random.default_rng(seed)
    order = rng.permutation(rows) if codes is None else _stratified_order(codes, rng)
    return np.sort(order[held:]), np.sort(order[:held])


def _stratified_order(codes: Array, rng: np.random.Generator) -> Array:
    """A random order whose every prefix holds the classes in nearly their shares."""
    place = np.empty(len(codes))
    for code in np.unique(codes):
        index = rng.permutation(np.flatnonzero(codes == code))
        place[index] = (np.arange(len(index)) + rng.random()) / len(index)
    return np.argsort(place, kind="stable")


# by time, the part of the rows that comes before the first fold
_BEFORE = 0.5


def folds(
    codes: Array | None, rows: int, count: int, seed: int,
    group: Array | None = None, time: Array | None = None, twins: Array | None = None,
) -> list[tuple[Array, Array]]:  # fmt: skip
    """Row numbers (ascending) to fit on and held out, for each of `count` folds; no row is held out twice.

    Folds hold out every row once and fit on all others; by time, the later half of the rows is held out, each fold
    fitted on all that came before it. Raises InputError where groups or moments are fewer than the folds need.
    """
    strata = np.zeros(rows, np.int64) if codes is None else codes
    if time is not None:
        shares = (_BEFORE, *[(1 - _BEFORE) / count] * count)
        parts = indices(strata, shares, seed, None, time)
        found = [(np.sort(np.concatenate(parts[:n])), parts[n]) for n in range(1, count + 1)]
    else:
        parts = indices(strata, [1 / count] * count, seed, group, None, twins)
        found = [(np.sort(np.concatenate(parts[:n] + parts[n + 1 :])), parts[n]) for n in range(count)]
    if any(not len(fit) or not len(held) for fit, held in found):
        raise InputError(f"the rows that belong together do not fill {count} folds")
    return found


def _by_stratum(codes: Array, shares: Sequence[float], seed: int) -> Array:
    rng = np.random.default_rng(seed)
    place = np.empty(len(codes))
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        place[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    where = np.empty(len(codes), dtype=np.int64)
    bounds = np.round(np.cumsum(shares) * len(codes)).astype(np.int64)
    where[np.argsort(place, kind="stable")] = np.searchsorted(bounds, np.arange(len(codes)), side="right")
    return where


def _by_twins(codes: Array, twins: Array, shares: Sequence[float], seed: int) -> Array:
    """As by stratum, with the first row of each label to stand for all."""
    _, first, label_of_row, size = np.unique(twins, return_index=True, return_inverse=True, return_counts=True)
    rng = np.random.default_rng(seed)
    place = np.empty(len(first))
    for code in np.unique(codes[first]):
        own = rng.permutation(np.flatnonzero(codes[first] == code))
        place[own] = (np.cumsum(size[own]) - rng.random() * size[own]) / size[own].sum()
    order = np.argsort(place, kind="stable")
    done = np.cumsum(size[order]) - 0.5 * size[order]
    where = np.empty(len(first), dtype=np.int64)
    where[order] = np.searchsorted(np.cumsum(shares)[:-1] * len(codes), done, side="right")
    return np.asarray(where[label_of_row.reshape(-1)])


def _by_time(time: Array, shares: Sequence[float]) -> Array:
    moments, moment_of_row = np.unique(time, return_inverse=True)
    if len(moments) < len(shares):
        raise InputError(
            f"the time column has {len(moments)} distinct values; {len(shares)} or more make a split by time"
        )
    done = np.cumsum(np.bincount(moment_of_row)) / len(time)
    where = np.searchsorted(np.cumsum(shares)[:-1], done - 1e-9, side="right")
    return np.asarray(where[moment_of_row])


def _by_group(codes: Array, group: Array, shares: Sequence[float], seed: int) -> Array:
    """Large groups first, each to the share that it brings nearest to the class counts wanted."""
    names, group_of_row = np.unique(group, return_inverse=True)
    if len(names) < len(shares):
        raise InputError(f"the group column has {len(names)} groups; {len(shares)} or more make a split by group")
    strata = np.unique(codes, return_inverse=True)[1]
    counts = np.zeros((len(names), strata.max() + 1))
    np.add.at(counts, (group_of_row, strata), 1)
    wanted = np.outer(shares, counts.sum(axis=0))
    missing = wanted.copy()
    shuffled = np.random.default_rng(seed).permutation(len(names))
    home = np.empty(len(names), dtype=np.int64)
    for number in shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]:
        gain = (missing * counts[number] / wanted.clip(min=1)).sum(axis=1)
        home[number] = int(np.argmax(gain))
        missing[home[number]] -= counts[number]
    return np.asarray(home[group_of_row])
