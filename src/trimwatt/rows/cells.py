"""Cells of text files: missing markers, and numbers as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trimwatt.workload import Array

MISSING = frozenset(
    ["", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "-nan", "NaT", "null", "NULL", "Null"]
)
# words that mean "nothing" among numbers, yet may be a category among words
MISSING_NUMBER = MISSING | {"-", "--", ".", "None", "none", "na", "missing", "#DIV/0!", "#VALUE!", "#NUM!", "#REF!"}
# what pandas.read_csv takes for missing unless told otherwise
PANDAS_MISSING = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null"]
)  # fmt: skip
_WORDS = {"true": 1.0, "false": 0.0}
_AFFIXES = "%$€£¥"
# codes such as 00123 are names, not amounts; float() also takes 1_000, which no table means as a number
_A_NAME = re.compile(r"(?:^|\n)\s*0\d{2,}\s*(?:\n|$)|_")


@dataclass(frozen=True)
class Style:
    """How numbers are written: decimal mark, thousands mark, and one sign such as % or $ beside each."""

    decimal: str = "."
    thousands: str = ""
    affix: str = ""

    def spec(self) -> dict[str, Any]:
        return {"kind": "number", **asdict(self)}


_STYLES = (
    Style(".", ""),
    Style(",", ""),
    Style(".", ","),
    Style(",", "."),
    *(Style(decimal, space) for space in (" ", "\u00a0", "\u202f", "'", "’") for decimal in ".,"),
)


def _pattern(style: Style) -> re.Pattern[str]:
    d, t = re.escape(style.decimal), re.escape(style.thousands)
    grouped = rf"\d{{1,3}}(?:{t}\d{{3}})+|" if style.thousands else ""
    return re.compile(rf"[+-]?(?:(?:{grouped}\d+)(?:{d}\d*)?|{d}\d+)(?:[eE][+-]?\d+)?", re.ASCII)


_PATTERNS = {style: _pattern(style) for style in _STYLES}


def text(values: Iterable[str]) -> Array:
    """Text as an object array; numpy would otherwise pick a fixed width."""
    items = list(values)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def plain_numbers(column: Sequence[str]) -> Array | None:
    """`column` as float64 with NaN for missing, None where it is not written in plain numbers."""
    numbers = _floats(column)
    return None if numbers is None or _A_NAME.search("\n".join(column)) else numbers


def _floats(column: Sequence[str]) -> Array | None:
    try:
        return np.fromiter(map(float, column), dtype=np.float64, count=len(column))
    except ValueError:
        pass  # words among them: perhaps only markers of what is missing
    try:
        return np.array([np.nan if c.strip() in MISSING_NUMBER else float(c) for c in column], dtype=np.float64)
    except ValueError:
        return None


def style_of(distinct: set[str], delimiter: str = ",", decimal: str = "") -> Style | None:
    """The one style that all of `distinct` (missing left out) is written in, or None.

    Where "1,234" could be both, a semicolon file means a decimal comma, any other a thousands mark; `decimal` is the
    mark that other columns of the file have.
    """
    if not distinct or _A_NAME.search("\n".join(distinct)):
        return None
    affix = _affix(distinct)
    bare = {_bare(cell, affix) for cell in distinct}
    fitting = [s for s in _STYLES if all(_PATTERNS[s].fullmatch(cell) for cell in bare)]
    if not fitting:
        return None
    chosen = next((style for style in fitting if style.decimal == decimal), fitting[0])
    if decimal != "," and delimiter != ";" and chosen == Style(",") and Style(".", ",") in fitting:
        chosen = Style(".", ",")
    return Style(chosen.decimal, chosen.thousands, affix)


def _affix(distinct: set[str]) -> str:
    first = next(iter(distinct))
    for sign in _AFFIXES:
        if sign in first and all(sign in cell for cell in distinct):
            return sign
    return ""


def _bare(cell: str, affix: str) -> str:
    cell = cell.replace("\u2212", "-")
    return cell.replace(affix, "", 1).strip() if affix else cell


def _value(cell: str, style: Style) -> float:
    bare = _bare(cell, style.affix)
    if not _PATTERNS[Style(style.decimal, style.thousands)].fullmatch(bare):
        raise ValueError(cell)
    return float(bare.replace(style.thousands, "").replace(style.decimal, "."))


def styled_numbers(column: Sequence[str], style: Style) -> Array:
    """`column` read in `style`; raises ValueError, holding the cell, where one is written otherwise."""
    known = {c: np.nan if c in MISSING_NUMBER else _value(c, style) for c in set(column)}
    return np.fromiter((known[c] for c in column), dtype=np.float64, count=len(column))


def booleans(column: Sequence[str]) -> Array | None:
    """True and false, in any case, as 1 and 0; None where other words occur."""
    known = {c: np.nan if c in MISSING else _WORDS.get(c.lower()) for c in set(column)}
    if None in known.values() or all(value != value for value in known.values()):
        return None
    return np.array([known[c] for c in column], dtype=np.float64)


def words(column: Sequence[str]) -> Array:
    """Text with "" for missing."""
    known = {c: "" if c in MISSING else c for c in set(column)}
    return text(map(known.__getitem__, column))
