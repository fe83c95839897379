"""Logs of runs made elsewhere: named columns from a CSV, and the unit a column is in, which is never guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimwatt.errors import InputError
from trimwatt.input import textfile

Columns = dict[str, list[str]]

# to joules, seconds, grams or counts; spelled as people do
_UNITS: dict[str, tuple[str, float]] = {
    "nJ": ("J", 1e-9), "uJ": ("J", 1e-6), "µJ": ("J", 1e-6), "mJ": ("J", 1e-3), "J": ("J", 1.0), "kJ": ("J", 1e3),
    "MJ": ("J", 1e6), "joule": ("J", 1.0), "joules": ("J", 1.0), "µWh": ("J", 3.6e-3), "uWh": ("J", 3.6e-3),
    "mWh": ("J", 3.6), "Wh": ("J", 3600.0), "kWh": ("J", 3.6e6), "MWh": ("J", 3.6e9),
    "ns": ("s", 1e-9), "us": ("s", 1e-6), "µs": ("s", 1e-6), "ms": ("s", 1e-3), "s": ("s", 1.0), "sec": ("s", 1.0),
    "seconds": ("s", 1.0), "min": ("s", 60.0), "minutes": ("s", 60.0), "h": ("s", 3600.0), "hours": ("s", 3600.0),
    "gCO2e": ("gCO2e", 1.0), "kgCO2e": ("gCO2e", 1e3), "mgCO2e": ("gCO2e", 1e-3),
}  # fmt: skip
# no energy, time or carbon is larger, in whatever unit, and means and squares of such values stay finite
_MOST = 1e60
# spellings that say the same whatever their case; mj and mwh do not (milli or mega?)
_LOOSE = {name.lower(): name for name in ("J", "kJ", "Wh", "kWh", "s", "ms", "us", "ns", "sec", "min", "h", "joule",
                                          "joules", "seconds", "minutes", "hours", "gCO2e", "kgCO2e")}  # fmt: skip
_IN_NAME = re.compile(r"[(\[]\s*([^()\[\]]+?)\s*[)\]]\s*$|_([A-Za-zµ0-9]+)$")
# CodeCarbon writes no units into its header; its manual does
_CODECARBON = {"duration": "s", "emissions": "kgCO2e"} | {
    f"{part}energy{end}": "kWh" for part, end in (("cpu_", ""), ("gpu_", ""), ("ram_", ""), ("", "_consumed"))
}


@dataclass(frozen=True)
class Unit:
    """A unit as written, the SI unit it leads to, and the factor."""

    written: str
    si: str
    factor: float


def read(path: Path) -> Columns:
    """The columns of a CSV (gzip, any common delimiter), cells as text; raises InputError for what is no table."""
    if not path.is_file():
        raise InputError(f"{path} is not a file; give a CSV with a line of column names and a row for each run")
    dialect, text = textfile.sniff(textfile.read_text(path), "\t" if ".tsv" in path.name.lower() else ",")
    header, *rows = [record for record in dialect.records(text) if any(record)]
    if not rows:
        raise InputError(f"{path.name} has column names but no rows; a comparison needs runs")
    names = [name.strip() for name in header]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path.name} names a column twice: {', '.join(doubled)}; rename one")
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise InputError(f"{path.name}: line {number} has {len(row)} cells, its header {len(names)}; mend the line")
    return {name: [row[k].strip() for row in rows] for k, name in enumerate(names)}


def is_codecarbon(columns: Sequence[str] | Mapping[str, object]) -> bool:
    """Whether these are the columns of CodeCarbon's emissions.csv."""
    return {"duration", "emissions", "energy_consumed", "project_name"} <= set(columns)


def column(columns: Mapping[str, Sequence[object]], name: str, what: str) -> Sequence[object]:
    """The cells of `name`; raises InputError that lists the columns there are."""
    if name not in columns:
        raise InputError(f"{what} column {name!r} is not in the log; it has {', '.join(columns)}")
    return columns[name]


def unit(name: str) -> Unit:
    """The unit called `name`, letter case as people write it."""
    written = name if name in _UNITS else _LOOSE.get(name.lower(), "")
    if not written:
        known = "J, mJ, kJ, Wh, kWh, s, ms, min, h, gCO2e or kgCO2e"
        raise InputError(f"{name!r} is no unit of energy, time or carbon; write {known}")
    si, factor = _UNITS[written]
    return Unit(written, si, factor)


def value_column(asked: str, columns: Mapping[str, Sequence[object]]) -> tuple[str, Unit]:
    """The column and its unit from `COLUMN`, `COLUMN:unit`, or a name that ends in its unit: `energy(J)`, `energy_kWh`.

    Raises InputError where no unit is told: a log without one cannot be read.
    """
    name, _, told = (asked, "", "") if asked in columns else asked.rpartition(":")
    name = name or asked
    column(columns, name, "the value")
    if told:
        return name, unit(told)
    if is_codecarbon(columns) and name in _CODECARBON:
        return name, unit(_CODECARBON[name])
    match = _IN_NAME.search(name)
    ending = (match[1] or match[2]) if match else ""
    if ending and (ending in _UNITS or ending.lower() in _LOOSE):
        return name, unit(ending)
    raise InputError(f"column {name!r} does not say its unit; write --value '{name}:J' (or kWh, s, ...)")


def number(cell: object) -> float | None:
    """A cell as a number, a decimal comma allowed; NaN where nothing stands in it; None where it is none, or absurd."""
    text = str(cell).strip()
    if cell is None or text.lower() in ("", "nan", "na", "n/a", "none", "null", "-"):
        return math.nan
    try:
        value = float(text if "." in text or text.count(",") != 1 else text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isnan(value) or abs(value) <= _MOST else None


def same(cell: object, asked: object) -> bool:
    """Whether a cell is the value asked for, as text or as a number: 390 and 390.0 are the same."""
    if str(cell).strip() == str(asked).strip():
        return True
    x, y = number(cell), number(asked)
    return x is not None and y is not None and x == y
