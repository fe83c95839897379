"""What a column means to models made here: numbers in any style, booleans, dates, or words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trimwatt.rows import cells, dates
from trimwatt.workload import Array


@dataclass(frozen=True, eq=False)
class Meaning:
    """A column understood: values as float64, datetime64[s] or text with "" for missing.

    spec: how to read such a column again, None where there is nothing to remember.
    """

    values: Array
    spec: dict[str, Any] | None = None
    warning: str | None = None


def understand(column: Array, label: str, delimiter: str = "", decimal: str = "") -> Meaning:
    """What a plain column (float64, datetime64[s] or text) holds. delimiter, decimal: of its file."""
    if column.dtype.kind == "M":
        return Meaning(column, {"kind": "datetime", "order": "ymd"})
    if column.dtype != object:
        return Meaning(column)
    values = column.tolist()
    distinct = set(values) - cells.MISSING_NUMBER
    style = cells.style_of(distinct, delimiter, decimal)
    if style:
        return _styled(values, style, label)
    truth = cells.booleans(values)
    if truth is not None:
        return Meaning(truth)
    order = dates.order_of(set(values) - cells.MISSING)
    return _words_or_dates(values, order, label)


def _styled(values: list[str], style: cells.Style, label: str) -> Meaning:
    note = None
    if style.thousands and style.decimal == "." and not any("." in value for value in values):
        example = next(value for value in values if style.thousands in value)
        read = cells.styled_numbers([example], style)[0]
        note = f"column {label!r}: {shown(example)} was read as {read:.15g} (thousands separated)"
    return Meaning(cells.styled_numbers(values, style), style.spec(), note)


def _words_or_dates(values: list[str], order: str | None, label: str) -> Meaning:
    if order is None:
        return Meaning(cells.words(values))
    note = None
    if order == "?":
        order, example = "mdy", next(value for value in values if value not in cells.MISSING)
        note = (
            f"column {label!r}: dates such as {shown(example)} were read as month/day/year; use 2024-12-31 to be sure"
        )
    try:
        return Meaning(dates.parse(values, order), {"kind": "datetime", "order": order}, note)
    except ValueError:
        return Meaning(cells.words(values))


def shown(value: str, most: int = 60) -> str:
    """A cell as one short line for a message."""
    text = " ".join(value.split())
    return text if len(text) <= most else text[: most - 3] + "..."
