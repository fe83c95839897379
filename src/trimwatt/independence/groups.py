"""Rows of one patient, device or place: found by a column that names them, or by their lying close together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from trimwatt.independence import probe
from trimwatt.independence._base import Table, Tie, number
from trimwatt.independence._columns import as_numbers
from trimwatt.independence.moments import LEAST_KNOWN
from trimwatt.independence.probe import matrix
from trimwatt.workload import Array, take

LEAST_GROUPS = 8
_LARGEST = 0.25
_ALIKE = 0.5
_TOLD = 0.7
_EXPLAINS = 0.85
_LEAST_GAIN = 0.03
_SAMPLE = 1500
_PROBED = 3000
_MOST_COLUMNS = 128
_ORDERED = 0.15
_EXPLAINED = 0.4
_CLUSTERED = (50, 8000)
_VERY_MANY = 100_000
_REACH = 1.5
_BLOCK = 1000  # rows whose distances are held at once; each product costs some waiting, whatever its size
_MARKS = re.compile(r"[^0-9A-Za-z]+")


def find(table: Table) -> Tie | None:
    """A column whose equal values mark rows that belong together, and from which a model gains; else close clusters.

    Such a column names many groups of several rows each, which are far more alike than others, or agree in the target
    though no other column says so. That alone is no harm: the tie is one only where a quick model does surely worse
    on groups that it has never seen.
    """
    found: tuple[float, Tie] | None = None
    for name, labels in _candidates(table):
        if not (_agrees_in_target(table, name, labels) or _is_alike(table, name, labels)):
            continue
        rows = whole_groups(labels, _PROBED)
        gain = probe.gain(table, rows, labels[rows])
        if gain.above(_LEAST_GAIN) and (found is None or gain.mean > found[0]):
            found = gain.mean, Tie("group", labels, (name,))
    return found[1] if found else _clusters(table)


def unexamined(table: Table) -> list[str]:
    """What `find` does not look for in so large a table, in words."""
    found, most = [], _most_clustered(len(table))
    if len(table.columns) > _MOST_COLUMNS:
        found.append(f"columns that name groups: {len(table.columns)} columns, at most {_MOST_COLUMNS} are looked at")
    if len(table) > most and not table.image:
        found.append(f"close clusters that no column names: looked for among {most:,} of {len(table):,} rows")
    return found


def _candidates(table: Table) -> Iterator[tuple[str, Array]]:
    """Columns, and parts of text such as "p12-visit3", with several rows to each of many values."""
    columns = table.columns
    if len(columns) > _MOST_COLUMNS:
        return
    for name, column in columns.items():
        if column.dtype.kind in "mM":
            continue
        if column.dtype != object and not _names_groups(np.unique(column, return_counts=True)[1]):
            continue
        labels = number(column)
        if _names_groups(np.bincount(labels)):
            yield name, labels
        elif column.dtype == object and labels.max() > len(labels) // 4:
            yield from ((name, part) for part in _parts(column) if _names_groups(np.bincount(part)))


def _names_groups(size: Array) -> bool:
    """Whether values that occur so often each are many, and mostly of several rows."""
    rows, several = int(size.sum()), int(size[size > 1].sum())
    return len(size) >= LEAST_GROUPS and several >= 0.8 * rows and size.max() <= _LARGEST * rows


def _parts(column: Array) -> Iterator[Array]:
    """What stands between the marks of text that is built alike in most rows; of another cell, the whole of it."""
    cells = [_MARKS.split(str(cell)) for cell in column.tolist()]
    width, alike = Counter(map(len, cells)).most_common(1)[0]
    if not 2 <= width <= 6 or alike < LEAST_KNOWN * len(cells):
        return
    for place in range(width):
        words = np.empty(len(cells), dtype=object)
        words[:] = [cell[place] if len(cell) == width else " ".join(cell) for cell in cells]
        yield number(words)


def _agrees_in_target(table: Table, name: str, labels: Array) -> bool:
    """Whether rows of one value mostly agree in the target, beyond chance, while neighbouring values do not."""
    size = np.bincount(labels).clip(min=1)
    if table.classified:
        counts = _counts(labels, table.y)
        # rows of a value agree by chance too, the more the fewer they are
        by_lot = _counts(labels, np.random.default_rng(0).permutation(table.y))
        pure, by_chance = (float(each.max(axis=1).sum()) / len(labels) for each in (counts, by_lot))
        if pure - by_chance < _TOLD * (1 - by_chance) or by_chance >= 1:
            return False
        means = counts.argmax(axis=1).astype(np.float64)
        return not _is_smooth(table, name, means, classified=True)
    means = np.bincount(labels, weights=table.y) / size
    rest = float(np.var(table.y - means[labels])) * len(labels) / max(1, len(labels) - len(size))
    # a kind of thing may tell two thirds of a value and more, and comes again
    if rest > (1 - _EXPLAINS) * float(np.var(table.y)):
        return False
    return not _is_smooth(table, name, means, classified=False)


def _counts(labels: Array, y: Array) -> Array:
    """How many rows of each label are of each class."""
    classes = int(y.max()) + 1
    return np.bincount(labels * classes + y, minlength=(int(labels.max()) + 1) * classes).reshape(-1, classes)


def _is_smooth(table: Table, name: str, means: Array, classified: bool) -> bool:
    """Whether neighbouring values of a column of numbers have neighbouring targets, as amounts have, names not."""
    if as_numbers(table.columns[name]) is None or len(means) < 3:
        return False
    if classified:
        share = np.bincount(means.astype(np.int64)) / len(means)
        by_chance = float((share**2).sum())
        return float((means[1:] == means[:-1]).mean()) > by_chance + 0.5 * (1 - by_chance)
    return float(np.mean(np.diff(means) ** 2)) < float(np.var(means))


def _is_alike(table: Table, name: str, labels: Array) -> bool:
    """Whether the nearest other row, by all other columns, mostly has the same value, beyond what chance gives."""
    rows = whole_groups(labels, _SAMPLE)
    own = labels[rows]
    own = np.unique(own, return_inverse=True)[1].reshape(-1)
    others = {other: column for other, column in table.features.items() if other != name}
    if not others or own.max() < LEAST_GROUPS - 1:
        return False
    x = scaled(matrix(Table(others, table.y, table.classified), rows))
    if _explained(x, own) < _EXPLAINED:
        return False
    apart = distances(x)
    same = own[:, None] == own[None, :]
    nearest = apart.argmin(axis=1)
    by_chance = float(((np.bincount(own) / len(own)) ** 2).sum())
    share = float((own[nearest] == own).mean())
    if (share - by_chance) / (1 - by_chance) < _ALIKE:
        return False
    if as_numbers(table.columns[name]) is None:
        return True
    # of an amount, values beside it have rows beside these; of a name they have any
    stranger = np.where(same, np.inf, apart).argmin(axis=1)
    return float(np.abs(own[stranger] - own).mean()) >= _ORDERED * float(own.max() + 1)


def _explained(x: Array, labels: Array) -> float:
    """The largest share of a column's variance that lies between groups, adjusted for how many there are."""
    size = np.bincount(labels)
    best = 0.0
    for column in x.T:
        means = np.bincount(labels, weights=column) / size
        rest, whole = float(np.var(column - means[labels])), float(np.var(column))
        if whole > 0 and len(labels) > len(size):
            best = max(best, 1 - rest / whole * (len(labels) - 1) / (len(labels) - len(size)))
    return best


def whole_groups(labels: Array, most: int) -> Array:
    """Rows of groups drawn at random, all or up to a share of each, at most so many."""
    rng = np.random.default_rng(0)
    lot = rng.permutation(len(labels))
    order = lot[np.argsort(labels[lot], kind="stable")]
    size = np.bincount(labels)
    start = np.cumsum(size) - size
    place = np.arange(len(order)) - np.repeat(start, size)
    cap = max(4, most // max(1, min(len(size), 100)))
    rank = rng.permutation(len(size))
    kept = order[place < cap]
    kept = kept[np.argsort(rank[labels[kept]], kind="stable")][:most]
    return np.sort(kept)


def scaled(x: Array) -> Array:
    """Columns with mean 0 and spread 1; those that do not vary stay 0."""
    spread = x.std(axis=0)
    return np.asarray((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0), dtype=np.float32)


def distances(x: Array) -> Array:
    """Squared distances `(n, n)` between rows, infinite to themselves."""
    norm = (x**2).sum(axis=1)
    found = np.maximum(norm[:, None] + norm[None, :] - 2 * x @ x.T, 0.0)
    np.fill_diagonal(found, np.inf)
    return np.asarray(found)


def _clusters(table: Table) -> Tie | None:
    """Many small heaps of rows with gaps between, in which the target agrees beyond what other heaps tell."""
    if len(table) < _CLUSTERED[0] or (not isinstance(table.x, dict) and table.x.ndim != 2):
        return None
    lot = np.random.default_rng(0).permutation(len(table))[: _most_clustered(len(table))]
    drawn = _drawn(table, np.sort(lot))
    labels, reach = _heaps(scaled(matrix(drawn, np.arange(len(drawn)))))
    found = _gains_from_heaps(drawn, labels)
    if found is None or len(drawn) == len(table):
        return found
    return Tie("group", _all_heaps(table, np.sort(lot), labels, reach))


def _most_clustered(rows: int) -> int:
    """How many rows are looked at: of very many even more would hold few of one group."""
    return _CLUSTERED[1] if rows <= _VERY_MANY else _CLUSTERED[1] // 2


def _drawn(table: Table, rows: Array) -> Table:
    return table if len(rows) == len(table) else replace(table, x=take(table.x, rows), y=table.y[rows], keys={})


def _all_heaps(table: Table, drawn: Array, labels: Array, reach: float) -> Array:
    """Labels of all rows: those not drawn are of the heap of the nearest that was, where it is within reach."""
    x = scaled(matrix(table, np.arange(len(table))))
    found = int(labels.max()) + 1 + np.arange(len(table))
    found[drawn] = labels
    known = x[drawn]
    weights = _weights(known)
    for rows in np.array_split(np.setdiff1d(np.arange(len(table)), drawn), max(1, len(table) // _BLOCK)):
        nearest = _ranking(x[rows], weights).argmin(axis=1)
        near = ((x[rows] - known[nearest]) ** 2).sum(axis=1) <= reach
        found[rows[near]] = labels[nearest[near]]
    return found


def _weights(x: Array) -> Array:
    """What `_ranking` multiplies rows by."""
    return np.vstack([-2 * x.T, (x**2).sum(axis=1)])


def _ranking(rows: Array, weights: Array) -> Array:
    """Squared distances of `rows` from those that the weights are of, less each row's own square, in one product."""
    return np.asarray(np.column_stack([rows, np.ones(len(rows), np.float32)]) @ weights)


def _gains_from_heaps(table: Table, labels: Array) -> Tie | None:
    size = np.bincount(labels)
    heaps = int((size > 1).sum())
    classes = len(np.unique(table.y)) if table.classified else 1
    if heaps < max(LEAST_GROUPS, 5 * classes) or size.max() > _LARGEST * len(table):
        return None
    if size[size > 1].sum() < 0.8 * len(table):
        return None
    rows = whole_groups(labels, _PROBED)
    return Tie("group", labels) if probe.gain(table, rows, labels[rows]).above(_LEAST_GAIN) else None


def _heaps(x: Array) -> tuple[Array, float]:
    """Rows linked where they are hardly further apart than nearly all are from their nearest: one heap of most data.

    Also that distance, squared.
    """
    from trimwatt.independence.twins import linked

    weights = _weights(x)
    nearest = np.concatenate([_from(x, weights, block).min(axis=1) for block in _blocks(len(x))])
    reach = _REACH**2 * float(np.quantile(nearest, 0.95))
    if reach <= 0:
        return np.arange(len(x)), 0.0
    edges = []
    for block in _blocks(len(x)):
        i, j = np.nonzero(_from(x, weights, block) <= reach)
        i += block.start
        if len(i) and np.bincount(i - block.start).max() >= _LARGEST * len(x):
            # its neighbours alone are a heap too large to be a group
            return np.zeros(len(x), dtype=np.int64), reach
        edges.append((i, j))
    return linked(edges, len(x)), reach


def _blocks(rows: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, rows, _BLOCK)]


def _from(x: Array, weights: Array, block: slice) -> Array:
    """Squared distances of the rows of a block from all, infinite to themselves."""
    found = _ranking(x[block], weights)
    found += (x[block] ** 2).sum(axis=1)[:, None]
    found[np.arange(len(found)), np.arange(block.start, block.start + len(found))] = np.inf
    return found
