"""One column of a tensor: how a cell of it, or a whole column, becomes a number or a word."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from trimwatt.errors import InputError
from trimwatt.rows import cells, columns
from trimwatt.rows import view as views
from trimwatt.rows.view import Seen, View
from trimwatt.workload import Array

# what a word becomes that is no known category
UNKNOWN = -1
# well inside float32: what lies beyond is read as a column, which knows what becomes of it
_LARGE = 1e38
_EXACT = 2**53
_SCALARS = {np.dtype(code).type for code in "?bBhHiIlLqQefd"}
_WORDS = {str, float, int, bool, type(None)}


class Field(Protocol):
    """column: the stored one that it is made of. takes_numbers: whether an array of numbers goes in as it is, as
    float32, but for infinite ones, which are missing."""

    column: str
    takes_numbers: bool

    def cell(self, cell: Any) -> Any:
        """What one cell becomes; None where only its column tells."""
        ...

    def read(self, column: Any) -> Array:
        """What a stored column `(n,)` becomes; raises InputError where it holds what it cannot."""
        ...


def of(name: str, dtype: str, codes: Mapping[str, int] | None, view: View | None) -> Field:
    """The field of a tensor's column `name`. codes: of words, for text. view: how it sees what is stored."""
    seen = None if view is None else next((s for s in view.seen if s.name == name), None)
    if codes is not None:
        return _Code(seen or Seen(name, name, "text"), codes)
    if dtype == "string" and seen is not None:
        return _Derived(seen)
    if dtype != "float32":
        return _Typed(name, object if dtype == "string" else np.dtype(dtype))
    seen = seen or Seen(name, name, "number")
    return _Number(seen) if seen.kind == "number" else _Derived(seen)


class _Number:
    """Numbers as float32, NaN where they are missing or too large."""

    takes_numbers = True

    def __init__(self, seen: Seen) -> None:
        self._seen, self.column = seen, seen.column

    def cell(self, cell: Any) -> Any:
        kind = cell.__class__
        if kind in _SCALARS:  # a row of a frame holds numpy's
            cell = cell.item()
            kind = cell.__class__
        if kind is float:
            return cell if -_LARGE < cell < _LARGE or cell != cell else None
        if kind is int:
            return cell if -_EXACT <= cell <= _EXACT else None
        return math.nan if cell is None or kind.__name__ == "NAType" else None

    def read(self, column: Any) -> Array:
        if isinstance(column, np.ndarray) and column.dtype == object:
            values = column.tolist()
            if set(map(type, values)) <= {float, int}:
                return columns.single(np.array(values, dtype=np.float64))[0]
        return self._seen.read(column)


class _Derived:
    """What only a look at the whole column gives: a part of a date, or text as models made here see it."""

    takes_numbers = False

    def __init__(self, seen: Seen) -> None:
        self._seen, self.column = seen, seen.column

    def cell(self, cell: Any) -> Any:
        return None

    def read(self, column: Any) -> Array:
        return self._seen.read(column)


class _Code:
    """Words as the numbers of their categories."""

    takes_numbers = False

    def __init__(self, seen: Seen, codes: Mapping[str, int]) -> None:
        self.column, self._codes = seen.column, _Codes({word: float(code) for word, code in codes.items()})

    def cell(self, cell: Any) -> Any:
        kind = cell.__class__
        return self._codes[cell] if kind in _WORDS or kind.__name__ == "NAType" else None

    def read(self, column: Any) -> Array:
        values = column.categories.tolist() if _is_categorical(column) else _words(column, self.column)
        try:
            found = self._codes.of(values)
        except TypeError:  # lists and such, which are no words
            found = self._codes.of(list(map(str, values)))
        if not _is_categorical(column):
            return found
        absent = np.float32(self._codes[""])
        return np.asarray(np.append(found, absent)[np.asarray(column.codes)])


def _is_categorical(column: Any) -> bool:
    return hasattr(column, "categories") and hasattr(column, "codes")


def _words(column: Any, label: str) -> list[Any]:
    """The cells of a column of text; of any other what is written for them."""
    written = column.dtype.kind in "OUTbiuf" and not isinstance(column, np.ma.MaskedArray)
    return column.tolist() if written else columns.words(columns.plain(column, label)).tolist()  # type: ignore[no-any-return]


class _Codes(dict[Any, float]):
    """The number of each word, a float as the tensor has it.

    What stands for a word is found too: one with spaces around, a number that is written so.
    """

    def of(self, values: list[Any]) -> Array:
        """The numbers of words, float32; raises TypeError where one cannot be a word."""
        return np.fromiter(map(self.__getitem__, values), np.float32, len(values))

    def __missing__(self, value: Any) -> float:
        if not isinstance(value, str):
            return self._of_object(value)
        word = value.strip()
        if word in self or word not in cells.MISSING:
            return self.get(word, UNKNOWN)
        return self.get("", UNKNOWN)

    def _of_object(self, value: Any) -> float:
        if columns.is_missing(value):
            return self.get("", UNKNOWN)
        written = str(value).strip()
        if written in self or not isinstance(value, int | float | np.number):
            return self.get(written, UNKNOWN)
        return self.get(columns.digits(float(value)), UNKNOWN)


class _Typed:
    """Numbers of another type than float32, or text as it is."""

    takes_numbers = False

    def __init__(self, name: str, kind: Any) -> None:
        self.column, self._kind = name, kind
        self._exact = {"object": str, "float64": float, "int64": int}.get(np.dtype(kind).name)

    def cell(self, cell: Any) -> Any:
        return cell if cell.__class__ is self._exact else None

    def read(self, column: Any) -> Array:
        return typed(column, self._kind, self.column)


def typed(column: Any, kind: Any, label: str) -> Array:
    """A stored column as text (`kind` is object) or as numbers of the type `kind`.

    Raises InputError where it holds what that type cannot.
    """
    if kind is object:
        return text(column)
    if isinstance(column, np.ma.MaskedArray) or not (isinstance(column, np.ndarray) and column.dtype.kind in "biuf"):
        column = columns.plain(column, label)
        if column.dtype.kind != "f":
            return views.numbers(column, label, {}).astype(kind)
    if kind == np.float32:
        return columns.single(column)[0]
    if np.dtype(kind).kind in "iu" and column.dtype.kind == "f" and not bool(np.all(column == np.trunc(column))):
        raise InputError(f"column {label!r} holds missing or broken numbers; the model takes whole ones there")
    return np.asarray(column, dtype=kind)


def text(column: Any) -> Array:
    """Text as it is, "" where missing."""
    values = column.tolist()
    if isinstance(column, np.ndarray) and column.dtype == object and set(map(type, values)) == {str}:
        return column
    words = [v if type(v) is str else "" if columns.is_missing(v) else str(v) for v in values]
    return cells.text(words)
