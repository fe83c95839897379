"""How models made here see a table that is kept as stored for a given one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from trimwatt.errors import InputError
from trimwatt.rows import cells, columns, dates
from trimwatt.rows.meaning import shown, understand
from trimwatt.workload import Array


@dataclass(frozen=True)
class Seen:
    """One column as models made here see it: float32 with NaN for missing, or text with "" for missing.

    name: what they call it. column: the stored one that it is made of. kind: what they read there. spec: how numbers
    or dates are written where they are text, and `part`, which number of a date this is.
    """

    name: str
    column: str
    kind: Literal["number", "text", "date"]
    spec: Mapping[str, Any] = field(default_factory=dict)

    def read(self, column: Any) -> Array:
        """`column`, as stored, in this form; raises InputError where it holds what cannot be read so."""
        if self.kind == "number":
            return numbers(column, self.column, self.spec)
        values = columns.plain(column, self.column)
        if self.kind == "text":
            return columns.words(values)
        return dates.part(times(values, self.column, self.spec), self.spec["part"]).astype(np.float32)

    @property
    def is_plain(self) -> bool:
        """Whether it is the stored column with no more than its type changed."""
        return self.name == self.column and self.kind != "date" and not self.spec


@dataclass(frozen=True)
class View:
    """All columns that models made here see, in order."""

    seen: tuple[Seen, ...]

    def apply(self, rows: Mapping[str, Any], read: Collection[str] | None = None) -> dict[str, Array]:
        """Rows as stored, as these models see them. read: names of the columns wanted, None for all."""
        return {s.name: s.read(rows[s.column]) for s in self.seen if read is None or s.name in read}

    def stored(self, names: Collection[str]) -> tuple[str, ...]:
        """The stored columns that those called `names` are made of, each once."""
        return tuple(dict.fromkeys(s.column for s in self.seen if s.name in names))

    def only(self, names: Collection[str]) -> View:
        """The view of these columns alone."""
        return View(tuple(s for s in self.seen if s.name in names))

    def to_json(self) -> list[dict[str, Any]]:
        return [{"name": s.name, "column": s.column, "kind": s.kind, "spec": dict(s.spec)} for s in self.seen]

    @classmethod
    def from_json(cls, content: list[dict[str, Any]]) -> View:
        """What `to_json` gave."""
        return cls(tuple(Seen(s["name"], s["column"], s["kind"], s["spec"]) for s in content))


def numbers(column: Any, label: str, spec: Mapping[str, Any]) -> Array:
    """A stored column as float32; raises InputError for dates, and for text that is no number."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf" and not isinstance(column, np.ma.MaskedArray):
        return columns.single(column)[0]
    values = columns.plain(column, label)
    if values.dtype.kind == "M":
        raise InputError(f"column {label!r} holds dates; the model takes numbers there")
    return columns.single(_from_cells(values.tolist(), label, spec) if values.dtype == object else values)[0]


def _from_cells(values: list[str], label: str, spec: Mapping[str, Any]) -> Array:
    if spec.get("kind") == "number":
        try:
            return cells.styled_numbers(values, cells.Style(spec["decimal"], spec["thousands"], spec["affix"]))
        except ValueError:
            pass  # these rows may be written in another style, which is inferred below
    meaning = understand(cells.text(values), label).values
    if meaning.dtype.kind == "f":
        return meaning
    if all(cell in cells.MISSING_NUMBER for cell in values):
        return np.full(len(values), np.nan)
    row, cell = next((n, c) for n, c in enumerate(values, 1) if c not in cells.MISSING and not _is_float(c))
    raise InputError(f"column {label!r} holds {shown(cell)!r} in row {row}; the model takes numbers there")


def _is_float(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def times(values: Array, label: str, spec: Mapping[str, Any]) -> Array:
    """A plain column as datetime64[s]; raises InputError where it holds no dates as in training."""
    if values.dtype.kind == "M":
        return values
    if values.dtype != object and np.isnan(values).all():
        return np.full(len(values), "NaT", dtype="datetime64[s]")
    text = columns.words(values).tolist()
    for order in dict.fromkeys((str(spec["order"]), "ymd")):
        try:
            return dates.parse(text, order)
        except ValueError as error:
            cell = str(error)
    raise InputError(f"column {label!r} holds {shown(cell)}; dates as in training are allowed ({spec['order']})")
