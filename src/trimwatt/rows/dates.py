"""Dates and times in text, and the numbers a model can use of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np

from trimwatt.rows.cells import MISSING
from trimwatt.workload import Array

PARTS = ("year", "month", "day", "weekday", "hour")
CLOCK_PARTS = ("hours",)
_DATE = re.compile(
    r"(?P<a>\d{1,4})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<c>\d{4}|\d{1,2})"
    r"(?:(?:T|\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?\s*(?P<half>[AaPp][Mm])?)?"
    r"\s*(?:Z|UTC|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
_CLOCK = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?\s*(?P<half>[AaPp][Mm])?", re.ASCII)
_NAMED = re.compile(r"(?:(\d{1,2})[ -])?([A-Za-z]{3,9})\.?[ -](?:(\d{1,2}),? )?(\d{4})\b(.*)", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PIVOT = 69  # two-digit years above are of the last century, as in POSIX


def order_of(distinct: set[str]) -> str | None:
    """ "ymd", "dmy" or "mdy" where all of `distinct` are dates, "?" where day and month cannot be told apart.

    "clock" where all are times of day; None where they are neither.
    """
    if distinct and all(_is_clock(cell) for cell in distinct):
        return "clock"
    found = [_DATE.fullmatch(_numbered(cell)) for cell in distinct]
    if not found or not all(found):
        return None
    matches = [m for m in found if m]
    if all(len(m["a"]) == 4 for m in matches):
        return "ymd"
    # 1.2.3 and 3.11.7 are versions; a year of two digits needs a day and a month of two
    if any(len(m["a"]) > 2 or len(m["c"]) == 1 or (len(m["c"]) == 2 and len(m["a"] + m["b"]) < 4) for m in matches):
        return None
    if any(int(m["a"]) > 12 for m in matches):
        return "dmy"
    if any(int(m["b"]) > 12 for m in matches):
        return "mdy"
    return "dmy" if matches[0]["mark"] == "." else "?"


def _is_clock(cell: str) -> bool:
    match = _CLOCK.fullmatch(cell)
    return match is not None and int(match["hour"]) < 24 and int(match["minute"]) < 60


def _numbered(cell: str) -> str:
    """3 Mar 2021 and March 3, 2021 as 2021-03-03."""
    match = _NAMED.fullmatch(cell)
    if match is None or bool(match[1]) == bool(match[3]) or match[2][:3].lower() not in _MONTHS:
        return cell
    return f"{match[4]}-{_MONTHS.index(match[2][:3].lower()) + 1}-{match[1] or match[3]}{match[5]}"


def parse(column: Sequence[str], order: str) -> Array:
    """`column` as datetime64[s], NaT for missing; the wall clock as written, without its zone.

    Raises ValueError, holding the cell, where one is no date in `order`.
    """
    known = {cell: "NaT" if cell in MISSING else _iso(cell, order) for cell in set(column)}
    return np.array([known[cell] for cell in column], dtype="datetime64[s]")


def _iso(cell: str, order: str) -> str:
    match = _CLOCK.fullmatch(cell) if order == "clock" else _DATE.fullmatch(_numbered(cell))
    if match is None:
        raise ValueError(cell)
    iso = f"{_day(match, order)}T{_clock(match)}"
    try:
        np.datetime64(iso)
    except ValueError as error:
        raise ValueError(cell) from error
    return iso


def _day(match: re.Match[str], order: str) -> str:
    if order == "clock":
        return "1970-01-01"
    # a year in front is unmistakable, whatever order the others are in
    order = "ymd" if len(match["a"]) == 4 else order
    field = dict(zip(order, (match["a"], match["b"], match["c"]), strict=True))
    return f"{_year(field['y']):04d}-{int(field['m']):02d}-{int(field['d']):02d}"


def _year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) > 2 else year + (1900 if year >= _PIVOT else 2000)


def _clock(match: re.Match[str]) -> str:
    hour = int(match["hour"] or 0)
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
    return f"{hour:02d}:{match['minute'] or '00'}:{match['second'] or '00'}"


def part(times: Array, name: str) -> Array:
    """One of PARTS of `times` (datetime64[s]) as float64, NaN where missing; Monday is weekday 0.

    "hours" is the time of day in hours and parts of hours.
    """
    days, hours = times.astype("datetime64[D]"), times.astype("datetime64[h]")
    whole: Any = {
        "year": lambda: times.astype("datetime64[Y]").astype(np.int64) + 1970,
        "month": lambda: times.astype("datetime64[M]").astype(np.int64) % 12 + 1,
        "day": lambda: (days - days.astype("datetime64[M]")).astype(np.int64) + 1,
        "weekday": lambda: (days.astype(np.int64) + 3) % 7,
        "hour": lambda: (hours - days).astype(np.int64),
        "hours": lambda: (times - days).astype("timedelta64[s]").astype(np.int64) / 3600,
    }[name]()
    return np.where(np.isnat(times), np.nan, whole.astype(np.float64))


@lru_cache(4096)
def moment(cell: str, order: str) -> datetime:
    """One cell as `parse` reads it; raises ValueError where it is missing or no date in `order`."""
    return datetime.fromisoformat(_iso(cell, order))


def part_of(moment: datetime, name: str) -> float:
    """One of PARTS of a single moment, as `part` gives it."""
    if name == "weekday":
        return float(moment.weekday())
    if name == "hours":
        return (3600 * moment.hour + 60 * moment.minute + moment.second) / 3600
    return float(getattr(moment, name))
