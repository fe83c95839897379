"""Columns as read, before anything is known of their use; and what they mean as features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.input import cells, dates
from trimwatt.input.checks import shown
from trimwatt.workload import Array


@dataclass(frozen=True, eq=False)
class Raw:
    """Columns `(n,)` by name: float64 with NaN, datetime64[s] with NaT, or text (object) with missing as written.

    name: of the file, for messages. delimiter: of the file, "" where it was not text. decimal: "," where some column of
    the file has decimal commas.
    """

    columns: dict[str, Array]
    name: str
    delimiter: str = ""
    decimal: str = ""
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, eq=False)
class Meaning:
    """A column understood: values as float64, datetime64[s] or text with "" for missing.

    spec: how to read such a column again, None where there is nothing to remember.
    """

    values: Array
    spec: dict[str, Any] | None = None
    warning: str | None = None


def understand(raw: Raw, label: str) -> Meaning:
    """What a feature column holds: numbers in any style, booleans, dates, or words."""
    column = raw.columns[label]
    if column.dtype.kind == "M":
        return Meaning(column, {"kind": "datetime", "order": "ymd"})
    if column.dtype != object:
        return Meaning(column)
    values = column.tolist()
    distinct = set(values) - cells.MISSING_NUMBER
    style = cells.style_of(distinct, raw.delimiter, raw.decimal)
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


def target_values(raw: Raw, label: str) -> Array:
    """A target column: numbers in any style as float64, all else as the text that was written."""
    column = raw.columns[label]
    if column.dtype.kind == "M":
        return cells.text("" if np.isnat(time) else str(time) for time in column)
    if column.dtype != object:
        return column
    values = column.tolist()
    style = cells.style_of(set(values) - cells.MISSING, raw.delimiter, raw.decimal)
    return cells.styled_numbers(values, style) if style else cells.words(values)
