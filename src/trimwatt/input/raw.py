"""Columns as read, before anything is known of their use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.rows import cells, columns, meaning
from trimwatt.rows.meaning import Meaning
from trimwatt.workload import Array, unmasked


@dataclass(frozen=True, eq=False)
class Raw:
    """Columns `(n,)` by name: float64 with NaN, datetime64[s] with NaT, or text (object) with missing as written.

    name: of the file, for messages. delimiter: of the file, "" where it was not text. decimal: "," where some column of
    the file has decimal commas. typed: whether the source says itself what is a number, text or missing, as frames and
    Parquet do. stored: columns as the user has them, types and all: of a typed source at least those whose identity
    counts (target, group), of a text file where a given model needs them. labels: of all columns of a frame, where not
    all of them are text. library: whose frame it was, where not pandas'. unreadable: why models made here cannot read a
    column, which is NaN here.
    """

    columns: dict[str, Array]
    name: str
    delimiter: str = ""
    decimal: str = ""
    warnings: tuple[str, ...] = ()
    typed: bool = False
    stored: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] | None = None
    library: str | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def exact(self, label: str) -> Any:
        """A column as the user has it where that is known, else as read."""
        return self.stored.get(label, self.columns[label])


def of_stored(stored: Mapping[str, Any], name: str, **about: Any) -> Raw:
    """Raw columns of stored ones; what models made here cannot read is kept for a given one."""
    read, unreadable = dict[str, Array](), dict[str, str]()
    for label, column in stored.items():
        try:
            read[label] = columns.plain(column, label)
        except InputError as error:
            read[label], unreadable[label] = np.full(len(column), np.nan), str(error)
    return Raw(read, name, typed=True, stored=stored, unreadable=unreadable, **about)


def refuse_unreadable(raw: Raw, labels: Iterable[str]) -> None:
    """Raises InputError for the first of `labels` that models made here cannot read."""
    for label in labels:
        if label in raw.unreadable:
            raise InputError(raw.unreadable[label])


def understand(raw: Raw, label: str) -> Meaning:
    """What a feature column holds: numbers in any style, booleans, dates, or words."""
    return meaning.understand(raw.columns[label], label, raw.delimiter, raw.decimal)


def target_values(raw: Raw, label: str) -> Array:
    """A target column: numbers, or text with None for missing.

    Text of a typed source is text, whatever it looks like; in a text file numbers are read in any style. Raises
    InputError for dates.
    """
    if columns.kind_of(raw.exact(label)) == "date":
        raise InputError(f"{raw.name}: {date_target(label)}")
    if raw.typed:
        return typed_values(raw.exact(label))
    column = raw.columns[label]
    if column.dtype != object:
        return column
    values = column.tolist()
    style = cells.style_of(set(values) - cells.MISSING, raw.delimiter, raw.decimal)
    if style:
        return cells.styled_numbers(values, style)
    known = {value: None if value in cells.MISSING else value for value in set(values)}
    return objects(map(known.__getitem__, values))


def date_target(label: str) -> str:
    """Why a column of dates is no target."""
    return (
        f"column {label!r} holds dates, and a date cannot be predicted; give a number, such as days until then, or "
        "name another target"
    )


def typed_values(column: Any) -> Array:
    """A stored column as numbers where all are there, else as its own values with None for missing."""
    if isinstance(column, np.ma.MaskedArray):
        column = unmasked(column)
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
        return column
    values = [None if columns.is_missing(value) else value for value in column.tolist()]
    if any(value is None for value in values):
        return objects(values)
    whole = [value for value in values if isinstance(value, int | np.integer) and not isinstance(value, bool)]
    return np.array(values) if len(whole) == len(values) and whole else objects(values)


def objects(values: Any) -> Array:
    """Values as an object array, whatever they are."""
    items = list(values)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def identities(column: Any) -> Array:
    """Which rows (n,) hold the same: codes (int64) by first appearance, whatever the type; all missing ones are one."""
    if isinstance(column, np.ma.MaskedArray):
        column = unmasked(column)
    known: dict[Any, int] = {}
    values = (None if columns.is_missing(value) or value == "" else value for value in column.tolist())
    return np.fromiter((known.setdefault(value, len(known)) for value in values), dtype=np.int64, count=len(column))
