"""Rows in the order of time: dates, clocks and counters, and whether a split at random misleads there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trimwatt.independence import probe
from trimwatt.independence._base import TRAIN, Table, Tie
from trimwatt.independence._columns import as_numbers
from trimwatt.workload import Array

_BLOCKS = 20
_PROBED = 3000
_STRETCH = 10
_SURELY_MORE = 1.3
_LEAST_GAIN = 0.03
_LEAST_LAG = 0.05
_LEAST_GAIN_OF_ORDER = 0.15
_ORDER_SHOWS = 5.0
_LEAST_MOMENTS = (50, 0.05)
_UNIX = ((3e8, 4.2e9), (3e11, 4.2e12), (3e14, 4.2e15), (3e17, 4.2e18))
_CALENDAR = (("year", "yr", "yyyy"), ("month", "mnth", "mon", "mm"), ("day", "dd", "dom"), ("hour", "hr", "hh"))


def find(table: Table) -> Tie | None:
    """A column of moments along which a split at random misleads; None where there is none, or it is respected.

    It misleads where a quick model does surely worse on stretches of time that it has not seen, or on the latest rows
    when it has seen only earlier ones.
    """
    known: list[Array] = []
    for names, moments in moments_of(table):
        if follows(table.part, moments):
            return None
        order = np.argsort(moments, kind="stable")
        if any(_same_order(other, order) for other in known) or not _depends(table, order):
            continue
        known.append(order)
        if _misleads(table, order) or _drifts(table, order):
            return Tie("time", moments, names)
    return None if any(_same_order(order, np.arange(len(table))) for order in known) else _by_order(table)


def _same_order(a: Array, b: Array) -> bool:
    """Whether two orders of the rows are nearly one, as those of a date and of the number of the row."""
    place = np.empty(len(a), np.int64)
    place[a] = np.arange(len(a))
    return float(np.abs(place[b] - np.arange(len(b))).mean()) < 0.02 * len(a)


def is_followed(table: Table) -> bool:
    """Whether the split is one by time: all judged rows are as late as the last training row, by a date or a clock."""
    return any(follows(table.part, moments) for names, moments in moments_of(table) if _is_sure(table, names))


def _is_sure(table: Table, names: tuple[str, ...]) -> bool:
    """Whether columns are dates; a counter may just number the rows of one split after those of another."""
    moments = as_numbers(table.columns[names[0]])
    dated = table.columns[names[0]].dtype.kind == "M" or len(names) > 1
    return dated or (moments is not None and _counts_seconds(np.unique(moments)))


def follows(part: Array, moments: Array) -> bool:
    """Whether all judged rows are as late as the last training row, or later."""
    if (part < 0).all() or not (part > TRAIN).any():
        return False
    return bool(moments[part > TRAIN].min() >= moments[part == TRAIN].max())


def moments_of(table: Table) -> Iterator[tuple[tuple[str, ...], Array]]:
    """Columns that tell a time, as numbers that grow with it, dates first; those without a gap only."""
    columns = sorted(table.columns.items(), key=lambda item: item[1].dtype.kind != "M")
    for name, column in columns:
        numbers = as_numbers(column) if column.dtype != object else None
        if numbers is None or not bool(np.isfinite(numbers).all()):
            continue
        numbers = numbers.astype(np.float64)
        if column.dtype.kind == "M" or _is_clock(numbers, table.part):
            yield (name,), numbers
    yield from _calendar(table)


def _is_clock(numbers: Array, part: Array) -> bool:
    """Whether numbers count seconds since 1970, run along with the rows, or tick at one rate; amounts do neither."""
    moments = np.unique(numbers)
    if len(moments) < max(_LEAST_MOMENTS[0], _LEAST_MOMENTS[1] * len(numbers)):
        return False
    if _counts_seconds(moments):
        return True
    if all(bool((np.diff(numbers[part == one]) >= 0).all()) for one in np.unique(part)):
        return True
    steps = np.diff(moments)
    whole = bool((moments == np.round(moments)).all())
    return whole and len(moments) > 0.5 * len(numbers) and float((steps == np.median(steps)).mean()) > 0.9


def _counts_seconds(moments: Array) -> bool:
    """Whether ascending numbers are whole seconds since 1970, or thousandths of them down to nanoseconds."""
    whole = bool((moments == np.round(moments)).all())
    return whole and any(low < moments[0] and moments[-1] < high for low, high in _UNIX)


def _calendar(table: Table) -> Iterator[tuple[tuple[str, ...], Array]]:
    """Year, month, day and hour in columns of their own, as one."""
    columns = {name.casefold(): (name, as_numbers(column)) for name, column in table.columns.items()}
    found = [next((columns[word] for word in words if word in columns), None) for words in _CALENDAR]
    parts = [part for part in found if part is not None]
    if found[0] is None or found[1] is None or any(v is None or not np.isfinite(v).all() for _, v in parts):
        return
    total = np.zeros(len(table))
    for place, scale in zip(found, (12, 1, 1 / 31, 1 / 744), strict=True):
        if place is not None and place[1] is not None:
            total += scale * place[1]
    yield tuple(name for name, _ in parts), np.round(total * 744)


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
