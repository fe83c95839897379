"""Columns that tell when a row is: dates, clocks, counters and parts of a calendar, as numbers that grow with time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trimwatt.independence._base import TRAIN, Table
from trimwatt.independence._columns import as_numbers
from trimwatt.independence._sorting import sort_order
from trimwatt.rows import dates
from trimwatt.workload import Array

LEAST_KNOWN = 0.8
_LEAST_MOMENTS = (50, 0.05)
_LEAST_DAYS = 20
_SAMPLE = 500
_UNIX = ((3e8, 4.2e9), (3e11, 4.2e12), (3e14, 4.2e15), (3e17, 4.2e18))
_YEAR = ("year", "yr", "yyyy")
_WITHIN = (  # each with the days that one of it takes
    (("month", "mnth", "mon", "mm"), 31.0),
    (("dayofyear", "doy", "yday", "yearday"), 1.0),
    (("week", "wk", "weekofyear", "weekno", "isoweek", "kw"), 7.0),
)
_DAY, _HOUR = ("day", "dd", "dom", "dayofmonth"), ("hour", "hr", "hh")
_SAYS_SO = re.compile(r"(?:.*[_\W])?(?:time|timestamp|datetime|date|epoch|ts|clock)(?:[_\W].*)?", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Moments:
    """The moment of each row `(n,)` in any unit, NaN where it is unknown, and the columns that tell it.

    sure: they hold dates; a counter may just number the rows of one split after those of another. loose: any amount may
    look like it, so that only what it does to the target can tell.
    """

    names: tuple[str, ...]
    values: Array
    sure: bool = False
    loose: bool = False

    @property
    def order(self) -> Array:
        """Places of the rows whose moment is known, earliest first."""
        known = np.flatnonzero(np.isfinite(self.values))
        return known[sort_order(self.values[known])]

    def is_followed(self, part: Array) -> bool:
        """Whether all judged rows are as late as the last training row, or later, as far as moments are known."""
        known = np.isfinite(self.values)
        judged, fitted = self.values[known & (part > TRAIN)], self.values[known & (part == TRAIN)]
        return bool(len(judged) and len(fitted)) and bool(judged.min() >= fitted.max())


def moments_of(table: Table, only_sure: bool = False) -> Iterator[Moments]:
    """Columns that tell a time, dates first, where they tell that of most rows: an odd cell is no objection.

    only_sure: leave out all but dates, which saves looking at the others.
    """
    columns = sorted(table.columns.items(), key=lambda item: item[1].dtype.kind != "M")
    for name, column in columns:
        read = _from_text(column) if column.dtype == object else (as_numbers(column), column.dtype.kind == "M")
        if read[0] is None or not _is_mostly_known(read[0]):
            continue
        numbers, dated = read[0].astype(np.float64), read[1]
        sure = dated or _is_dated(numbers)
        if only_sure and not sure:
            continue
        if dated or _is_clock(numbers, table.part):
            yield Moments((name,), numbers, sure=sure)
        elif not only_sure and _may_be_clock(name, numbers):
            yield Moments((name,), numbers, loose=True)
    yield from _calendar(table)


def _is_mostly_known(numbers: Array) -> bool:
    return float(np.isfinite(numbers).mean()) >= LEAST_KNOWN


def _from_text(column: Array) -> tuple[Array | None, bool]:
    """Text that is dates or numbers but for a few cells, as numbers with NaN for these; whether it is dates."""
    sample = _written(column[:: max(1, len(column) // _SAMPLE)])
    for read, dated in ((_dates, True), (_numbers, False)):
        if np.isfinite(read(sample)).mean() >= LEAST_KNOWN / 2:
            return read(_written(column)), dated
    return None, False


def _written(column: Array) -> list[str]:
    return [str(cell).strip() for cell in column.tolist()]


def _dates(cells: list[str]) -> Array:
    """Seconds since 1970 of text, NaN where a cell is no date."""
    distinct = {cell for cell in set(cells) if dates.order_of({cell}) not in (None, "clock")}
    order = dates.order_of(distinct)
    if order is None:
        return np.full(len(cells), np.nan)
    known = _seconds(list(distinct), "mdy" if order == "?" else order)
    return np.array([known.get(cell, np.nan) for cell in cells])


def _seconds(distinct: list[str], order: str) -> dict[str, float]:
    """Seconds since 1970 of each cell; one that is no day of the calendar is left out."""
    try:
        moments = dates.parse(distinct, order)
    except ValueError:
        halves = (distinct[: len(distinct) // 2], distinct[len(distinct) // 2 :]) if len(distinct) > 1 else ()
        return {cell: moment for half in halves for cell, moment in _seconds(half, order).items()}
    return dict(zip(distinct, as_numbers(moments).tolist(), strict=True))  # type: ignore[union-attr]


def _numbers(cells: list[str]) -> Array:
    return np.array([_number(cell) for cell in cells])


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def _is_clock(numbers: Array, part: Array) -> bool:
    """Whether numbers count seconds since 1970, are written dates, run along with the rows, or tick at one rate.

    Amounts do none of these.
    """
    known = np.isfinite(numbers)
    along = _runs_along(numbers, known, part)
    if not along and not _is_whole(numbers[known]):
        return False
    moments = np.unique(numbers[known])
    if len(moments) >= _LEAST_DAYS and _is_written_date(moments):
        return True
    if len(moments) < max(_LEAST_MOMENTS[0], _LEAST_MOMENTS[1] * len(numbers)):
        return False
    if along or _counts_seconds(moments):
        return True
    steps = np.diff(moments)
    return len(moments) > 0.5 * len(numbers) and float((steps == np.median(steps)).mean()) > 0.9


def _runs_along(numbers: Array, known: Array, part: Array) -> bool:
    """Whether known numbers never fall from one row of a split to the next."""
    return all(bool((np.diff(numbers[known & (part == one)]) >= 0).all()) for one in np.unique(part))


def _is_whole(numbers: Array) -> bool:
    return bool((numbers == np.round(numbers)).all())


def _may_be_clock(name: str, numbers: Array) -> bool:
    """Whether nearly each row has a number of its own, or the name says that it is a time."""
    sample = numbers[:: max(1, len(numbers) // (40 * _SAMPLE))]
    distinct = len(np.unique(sample[np.isfinite(sample)]))
    return distinct > 0.5 * len(sample) or (bool(_SAYS_SO.fullmatch(name)) and distinct >= _LEAST_MOMENTS[0])


def _counts_seconds(moments: Array) -> bool:
    """Whether numbers are whole seconds since 1970, or thousandths of them down to nanoseconds."""
    return any(low < moments.min() and moments.max() < high for low, high in _UNIX) and _is_whole(moments)


def _is_written_date(moments: Array) -> bool:
    """Whether numbers are years, months and days in eight digits, a day off where they were rounded."""
    if moments.min() < 1900_01_00 or moments.max() > 2100_12_32 or not _is_whole(moments):
        return False
    month, day = moments // 100 % 100, moments % 100
    return bool(((month >= 1) & (month <= 12) & (day <= 32)).all())


def _is_dated(numbers: Array) -> bool:
    known = numbers[np.isfinite(numbers)]
    return _counts_seconds(known) or _is_written_date(known)


def _calendar(table: Table) -> Iterator[Moments]:
    """A year and its months and days, weeks or days, in columns of their own, as one."""
    columns = {re.sub(r"[\W_]", "", name.casefold()): (name, column) for name, column in table.columns.items()}

    def read(words: tuple[str, ...]) -> tuple[str, Array] | None:
        name, column = next((columns[word] for word in words if word in columns), ("", np.empty(0)))
        numbers = as_numbers(column) if name else None
        return None if numbers is None or not _is_mostly_known(numbers) else (name, numbers.astype(np.float64))

    year, hour = read(_YEAR), read(_HOUR)
    for words, days in _WITHIN:
        within, day = read(words), read(_DAY) if days > 7 else None
        if year is None or within is None:
            continue
        parts = [(year, 372 * 24), (within, days * 24), (day, 24), (hour, 1)]
        found = [(part, hours) for part, hours in parts if part is not None]
        values = np.sum([part[1] * hours for part, hours in found], axis=0)
        yield Moments(tuple(part[0] for part, _ in found), values, sure=True)
