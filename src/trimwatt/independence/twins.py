"""Rows that are equal or nearly so: found by hashing coarse values of a few columns, then checked in every column."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from trimwatt.independence._base import Table, Tie
from trimwatt.independence._columns import Column, comparable, exact, mixed
from trimwatt.independence._sorting import first_rows, run_length
from trimwatt.independence.chance import shuffled
from trimwatt.workload import Array

_SETS = 6
_DRAWS = 5
_BITS = 2.5
_NEIGHBOURS = 4
_SAMPLE = 20_000


def find(table: Table) -> Tie | None:
    """Rows with twins as a tie, None where there are none or chance explains as many.

    What chance gives is counted in the same columns, shuffled so that each keeps only what it shares with the column
    before it that tells most of it: a table of a few categories has twins without any copying.
    """
    if table.image:
        from trimwatt.independence import pictures

        return pictures.find(table)
    columns, rows = comparable(table), len(table)
    draws: list[list[Column]] = []
    # where chance explains what is nearly equal, it may still not explain what is equal to the last digit
    for labelled in (components, equal):
        labels = labelled(columns, rows)
        twins = have_twins(labels, table.part)
        if twins < 2:
            return None
        draws = draws or [shuffled(columns, seed) for seed in range(_DRAWS if rows <= _SAMPLE else 1)]
        by_chance = sum(have_twins(labelled(drawn, rows), table.part) for drawn in draws) / len(draws)
        if _is_more(twins, by_chance):
            return Tie("twins", labels, coarse=_is_coarse(columns, rows))
    return None


def _is_coarse(columns: list[Column], rows: int) -> bool:
    """Whether the columns hold steps and categories alone, too few to tell the rows apart by much."""
    bits = sum(column.entropy for column in columns)
    return all(column.discrete for column in columns) and bits <= _BITS * math.log2(rows)


def _is_more(twins: int, by_chance: float) -> bool:
    """Whether chance, give or take its scatter, explains less than half of them."""
    return twins > max(by_chance + 2 * math.sqrt(by_chance + 1), 2 * by_chance)


def have_twins(labels: Array, part: Array) -> int:
    """How many judged rows have a twin in another split, or rows that have one at all where there is no split yet."""
    size = np.bincount(labels)
    if (part < 0).all():
        return int((size[labels] > 1).sum())
    first = np.full(len(size), 9)
    np.minimum.at(first, labels, part)
    return int((first[labels] < part).sum())


def equal(columns: list[Column], rows: int) -> Array:
    """A label per row `(n,)`; rows that are equal have the same."""
    return np.unique(exact(columns, rows), return_inverse=True)[1].reshape(-1) if columns else np.arange(rows)


def components(columns: list[Column], rows: int) -> Array:
    """A label per row `(n,)`; rows that are equal or nearly so, also by way of others, have the same."""
    home = equal(columns, rows)
    first = first_rows(home)
    edges = list(_near_pairs(columns, first, np.random.default_rng(0)))
    return linked(edges, len(first))[home] if edges else home


def linked(edges: list[tuple[Array, Array]], nodes: int) -> Array:
    """Labels of the connected parts of a graph."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    i, j = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    graph = coo_matrix((np.ones(len(i), dtype=np.int8), (i, j)), shape=(nodes, nodes))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _near_pairs(columns: list[Column], rows: Array, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Pairs of places in `rows` that are equal within tolerance, among those that share a cell of a set of columns."""
    if all(column.discrete for column in columns) and all(column.tolerance == 0 for column in columns):
        return
    for number in range(min(_SETS, 2 * len(columns))):
        chosen = _set_of_columns(columns, rows, rng)
        keys = mixed((column.cells(offset)[rows] for column, offset in chosen), len(rows))
        order = _grouped(keys, columns[number % len(columns)].values[rows])
        for step in range(1, _NEIGHBOURS + 1):
            a, b = order[:-step], order[step:]
            same = keys[a] == keys[b]
            i, j = _equal(columns, rows, a[same], b[same])
            if len(i):
                yield i, j


def _grouped(keys: Array, tie_break: Array) -> Array:
    """Places of the rows that share a key with others, those of one key together.

    More of one key than are compared with each other are in the order of `tie_break`, so that neighbours are close.
    """
    order = np.argsort(keys)
    length = run_length(keys[order])
    order, length = order[length > 1], length[length > 1]
    many = length > _NEIGHBOURS + 1
    within = order[many]
    order[many] = within[np.lexsort((within, tie_break[within], keys[within]))]
    return order


def _equal(columns: list[Column], rows: Array, i: Array, j: Array) -> tuple[Array, Array]:
    for column in columns:
        if not len(i):
            break
        same = column.near(rows[i], rows[j])
        i, j = i[same], j[same]
    return i, j


def _set_of_columns(columns: list[Column], rows: Array, rng: np.random.Generator) -> list[tuple[Column, float]]:
    """Columns drawn by what they tell, as many as part the rows into cells of about one, each with its offset."""
    weight = np.array([column.entropy for column in columns]) * rng.uniform(0.3, 1.0, len(columns))
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    pairs, wanted = len(sample) * (len(sample) - 1) / 2, 3 * np.log2(max(2, len(rows)))
    keys, chosen, bits = np.zeros(len(sample), np.uint64), [], 0.0
    for place in np.argsort(-weight, kind="stable"):
        column, offset = columns[place], float(rng.random())
        chosen.append((column, offset))
        bits += column.entropy
        values = Column(column.name, column.values[sample], column.tolerance, column.discrete, column.entropy)
        keys = mixed((keys, values.cells(offset)), len(sample))
        counts = np.unique(keys, return_counts=True)[1].astype(np.float64)
        together = float((counts * (counts - 1)).sum() / 2)
        if together / max(1.0, pairs) * len(rows) <= 1 or bits >= wanted:
            break
    return chosen
