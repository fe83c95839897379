"""The columns of a power log: seconds and watts, by the units in its header."""

from __future__ import annotations

import csv
import math
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trimwatt.errors import InputError

_TIME = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
}
_POWER = {
    **dict.fromkeys(("W", "w", "watt", "watts", "Watt", "Watts"), 1.0),
    **dict.fromkeys(("mW", "mw", "milliwatt", "milliwatts"), 1e-3),
    **dict.fromkeys(("uW", "µW", "microwatt", "microwatts"), 1e-6),
    **dict.fromkeys(("kW", "kw", "kilowatt", "kilowatts"), 1e3),
}
# no machine draws more, in whatever unit; its sums stay finite
_MOST = 1e15
_TIME_NAMES = {"time", "timestamp", "datetime", "date", "t", "elapsed", "unix", "epoch"}
_POWER_NAMES = {"power", "watt", "watts", "p", "apower", "load"}
_ZULU = {"utc", "gmt"}
_NOT_UNITS = {*_ZULU, "local", "iso", "iso8601", "unix", "epoch", "stamp", "time"}
# a number so large can only be since 1970, in these units
_SINCE_1970 = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3), (1e9, 1.0))


def read_columns(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(seconds, watts), each (n,), time not falling. Rows without power are left out, and make a gap."""
    header, rows = _table(path)
    t_index, t_unit = _column(header, _TIME, _TIME_NAMES, path, "time", "time_s, time (ms) or an ISO timestamp")
    p_index, p_unit = _column(header, _POWER, _POWER_NAMES, path, "power", "power_w, power (mW) or watts")
    if p_unit is None:
        raise _no_unit(path, header[p_index], "power", "power_w or power (mW)")
    times, watts = [], []
    for number, row in rows:
        if len(row) <= p_index or len(row) <= t_index or not row[p_index].strip():
            continue
        times.append(_seconds(row[t_index].strip(), t_unit, header[t_index], path, number))
        watts.append(_watts(row[p_index], path, number) * p_unit)
        if len(times) > 1 and times[-1] < times[-2]:
            raise InputError(f"{path}, line {number}: time goes back; sort the log, or give each run a file of its own")
    return np.array(times, dtype=np.float64), np.array(watts, dtype=np.float64)


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the power trace {path} cannot be read: {error}; give a CSV file with a header") from error
    lines = text.splitlines()
    # whoever writes the log may be in the middle of a line
    if lines and len(lines) > 1 and not text.endswith(("\n", "\r")) and lines[-1].count(",") < lines[0].count(","):
        lines.pop()
    separator = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    try:
        rows = [(n, row) for n, row in enumerate(csv.reader(lines, delimiter=separator), start=1) if row]
    except csv.Error as error:
        raise InputError(f"the power trace {path} is no CSV file ({error}); give one with a header") from error
    if not rows:
        raise InputError(f"the power trace {path} is empty; give a CSV file with the columns time and watts")
    return [name.strip() for name in rows[0][1]], rows[1:]


def _column(
    header: list[str], units: dict[str, float], names: set[str], path: Path, what: str, example: str
) -> tuple[int, float | None]:
    """Where the column is, and the factor of its unit, None where its name has none."""
    for index, column in enumerate(header):
        words = [word for word in re.split(r"[\s_()\[\]/,.-]+", column) if word]
        if words and (words[0].lower() in names or (words[0] in units and len(words) == 1)):
            if words[-1] in units:
                return index, units[words[-1]]
            if len(words) > 1 and words[-1].lower() not in _NOT_UNITS:
                raise _unknown(path, column, what, units)
            return index, None
    raise InputError(f"{path} has no column of {what} (it has {', '.join(header)}); call it {example}")


def _unknown(path: Path, column: str, what: str, units: dict[str, float]) -> InputError:
    known = ", ".join(sorted(set(units), key=str.lower))
    return InputError(f"{path}: {column!r} is in a unit nobody here knows; {what} is in one of {known}")


def _no_unit(path: Path, column: str, what: str, example: str) -> InputError:
    return InputError(f"{path}: the column {column!r} has no unit of {what}; call it {example}")


def _seconds(text: str, unit: float | None, column: str, path: Path, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        return _iso(text, any(word in column.lower() for word in _ZULU), path, number)
    if not math.isfinite(value):
        raise InputError(f"{path}, line {number}: {text!r} is not a time")
    if unit is not None:
        return value * unit
    for least, factor in _SINCE_1970:
        if value >= least:
            return value * factor
    raise _no_unit(path, column, "time", "time_s or time (ms)")


def _iso(text: str, is_utc: bool, path: Path, number: int) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return (moment.replace(tzinfo=UTC) if is_utc and moment.tzinfo is None else moment).timestamp()
    except (ValueError, OverflowError, OSError):
        raise InputError(
            f"{path}, line {number}: {text!r} is not a time; write 2026-11-21T05:00:00+01:00 or seconds"
        ) from None


def _watts(text: str, path: Path, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _MOST:
        raise InputError(
            f"{path}, line {number}: {text.strip()!r} is not a power; write a number of zero or more, at most {_MOST:g}"
        )
    return value
