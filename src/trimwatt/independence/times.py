"""Rows in the order of time: whether a split at random misleads there."""

from __future__ import annotations

import numpy as np

from trimwatt.independence import probe
from trimwatt.independence._base import Table, Tie
from trimwatt.independence.moments import moments_of
from trimwatt.workload import Array

_BLOCKS = 20
_PROBED = 3000
_STRETCH = 10
_SURELY_MORE = 1.3
_LEAST_GAIN = 0.03
_LEAST_LAG = 0.05
_LEAST_GAIN_OF_ORDER = 0.15
_ORDER_SHOWS = 5.0
_STAYS = 0.3
_MOST_CLASSES = 20


def find(table: Table) -> Tie | None:
    """A column of moments along which a split at random misleads; None where there is none, or it is respected.

    It misleads where a quick model does surely worse on stretches of time that it has not seen, or on the latest rows
    when it has seen only earlier ones.
    """
    known: list[Array] = []
    for moments in moments_of(table):
        if not moments.loose and moments.is_followed(table.part):
            return None
        order = moments.order
        if any(_same_order(other, order, len(table)) for other in known):
            continue
        if not (_switches(table, order) if moments.loose else _depends(table, order)):
            continue
        known.append(order)
        if _misleads(table, order) or (not moments.loose and _drifts(table, order)):
            return Tie("time", moments.values, moments.names)
    in_file = np.arange(len(table))
    return None if any(_same_order(order, in_file, len(table)) for order in known) else _by_order(table)


def _same_order(a: Array, b: Array, rows: int) -> bool:
    """Whether two orders of rows are nearly one, as those of a date and of the number of the row."""
    place = np.zeros((2, rows), np.int64)
    for own, order in zip(place, (a, b), strict=True):
        own[order] = 1 + np.arange(len(order))
    both = place[:, (place > 0).all(axis=0)]
    return both.shape[1] > 0.5 * rows and float(np.abs(both[0] - both[1]).mean()) < 0.02 * rows


def is_followed(table: Table) -> bool:
    """Whether the split is one by time: all judged rows are as late as the last training row, by a date or a clock."""
    if (table.part < 0).all():
        return False
    return any(moments.is_followed(table.part) for moments in moments_of(table, only_sure=True))


def _switches(table: Table, order: Array) -> bool:
    """Whether the target stays the same for a while and then is another, over and over.

    It varies with an amount too, but few times: rows a twentieth of all apart still have much in common.
    """
    y = table.y[order]
    codes = np.unique(y)
    indicators = [y == code for code in codes[:_MOST_CLASSES]] if table.classified else [y]
    return any(_is_brief(np.asarray(one, dtype=np.float64)) for one in indicators)


def _is_brief(values: Array) -> bool:
    rest, far = values - values.mean(), len(values) // _BLOCKS
    whole = float((rest**2).mean())
    if far < _STRETCH or whole == 0:
        return False
    near = np.mean([(rest[step:] * rest[:-step]).mean() for step in (1, 2, 3)]) / whole
    if near <= _STAYS:
        return False
    steps = (np.linspace(0.75, 1.25, 7) * far).astype(np.int64)
    apart = np.mean([(rest[step:] * rest[:-step]).mean() for step in steps]) / whole
    return bool(apart < near / 2)


def _depends(table: Table, order: Array) -> bool:
    """Whether the target varies more between short stretches of time than within them."""
    y = table.y[order]
    indicators = [y == code for code in np.unique(y)] if table.classified else [y]
    stretch = np.minimum(np.arange(len(y)) // _STRETCH, max(0, len(y) // _STRETCH - 1))
    return any(_ratio(np.asarray(one, dtype=np.float64), stretch) > _SURELY_MORE for one in indicators)


def _ratio(values: Array, stretch: Array) -> float:
    """Variance between stretches over that within (F); about 1 where order means nothing."""
    size = np.bincount(stretch)
    means = np.bincount(stretch, weights=values) / size
    between = float((size * (means - values.mean()) ** 2).sum()) / max(1, len(size) - 1)
    within = float(((values - means[stretch]) ** 2).sum()) / max(1, len(values) - len(size))
    return between / within if within > 0 else np.inf if between > 0 else 1.0


def _stretches(order: Array, most: int = _PROBED) -> tuple[Array, Array]:
    """Rows in their order as stretches without gaps, at most so many rows; and the stretch of each."""
    size = min(len(order), most) // _BLOCKS
    start = np.linspace(0, len(order) - size, _BLOCKS).astype(np.int64)
    place = np.unique((start[:, None] + np.arange(size)[None, :]).reshape(-1))
    return order[place], np.minimum(np.searchsorted(start, place, side="right") - 1, _BLOCKS - 1)


def _misleads(table: Table, order: Array) -> bool:
    rows, stretch = _stretches(order)
    return probe.gain(table, rows, stretch).above(_LEAST_GAIN)


def _drifts(table: Table, order: Array) -> bool:
    rows = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _PROBED)).astype(np.int64))]
    late = np.arange(len(rows)) >= 0.7 * len(rows)
    return probe.lag(table, rows, late).above(_LEAST_LAG)


def _by_order(table: Table) -> Tie | None:
    """The order of the rows in one file, where no column tells a time: stretches within a class, as files are sorted.

    Only a strong effect counts, since order may have any cause.
    """
    if not (table.part < 0).all() or table.image or len(table) < 10 * _BLOCKS:
        return None
    edges = np.quantile(table.y, np.linspace(0, 1, 6)[1:-1])
    stratum = table.y if table.classified else np.searchsorted(edges, table.y)
    found = []
    for one in np.unique(stratum):
        own = np.flatnonzero(stratum == one)
        if len(own) >= 2 * _BLOCKS:
            rows, stretch = _stretches(own, max(2 * _BLOCKS, _PROBED * len(own) // len(table)))
            found.append((rows, stretch))
    if not found:
        return None
    rows, stretch = (np.concatenate(parts) for parts in zip(*found, strict=True))
    x = probe.matrix(table, rows)
    if max(_ratio(column, stretch) for column in x.T) < _ORDER_SHOWS:
        return None
    gain = probe.gain(table, rows, stretch)
    return Tie("time", np.arange(len(table), dtype=np.float64)) if gain.above(_LEAST_GAIN_OF_ORDER) else None
