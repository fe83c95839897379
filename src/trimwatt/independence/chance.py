"""What chance alone would give: columns shuffled so that each keeps only its tie to one other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trimwatt.independence._columns import Column
from trimwatt.workload import Array

_BINS = 8
_RELATIVES = 32
_SAMPLE = 4000


def shuffled(columns: list[Column], seed: int) -> list[Column]:
    """The columns with their values in another order, so that no row is a copy of another but by chance.

    The first is shuffled freely; each further one within rows that agree, coarsely, in that column before it which
    tells most of it. So chance knows that a hot day is a dry one, but not that this very row stands there twice.
    """
    rng = np.random.default_rng(seed)
    bins = [_bins(column) for column in columns]
    sample = slice(None, None, max(1, len(bins[0]) // _SAMPLE))
    result: list[Column] = []
    new_bins: list[Array] = []
    for place, column in enumerate(columns):
        if place == 0:
            order = rng.permutation(len(column.values))
        else:
            near = range(max(0, place - _RELATIVES), place)
            relative = max(near, key=lambda other: _shared(bins[other][sample], bins[place][sample]))
            order = _order_within(bins[relative], new_bins[relative], rng)
        result.append(replace(column, values=column.values[order]))
        new_bins.append(bins[place][order])
    return result


def _order_within(before: Array, after: Array, rng: np.random.Generator) -> Array:
    """A random order of rows in which the row taken for place i had in `before` what place i has in `after`."""
    lot = rng.permutation(len(before))
    taken = lot[np.argsort(before[lot], kind="stable")]
    order = np.empty(len(before), np.int64)
    order[np.argsort(after, kind="stable")] = taken
    return order


def _bins(column: Column) -> Array:
    """Each value as one of eight bins of about equal size, by value."""
    values = column.values
    sample = values[:: max(1, len(values) // _SAMPLE)]
    present = sample[~np.isnan(sample)]
    if len(present) == 0:
        return np.zeros(len(values), np.uint8)
    edges = np.unique(np.quantile(present, np.linspace(0, 1, _BINS + 1)[1:-1]))
    found = np.zeros(len(values), np.uint8)
    for edge in edges:
        found += values >= edge
    return np.where(np.isnan(values), np.uint8(_BINS), found)


def _shared(a: Array, b: Array) -> float:
    """Mutual information of two binned columns, in nats."""
    table = np.bincount(a.astype(np.int64) * (_BINS + 1) + b, minlength=(_BINS + 1) ** 2).reshape(_BINS + 1, -1)
    share = table / max(1, table.sum())
    alone = share.sum(axis=1, keepdims=True) * share.sum(axis=0, keepdims=True)
    there = share > 0
    return float((share[there] * np.log(share[there] / alone[there])).sum())
