"""Named columns of a request, whatever its form: a dict, a DataFrame, a row of one, or a list of rows as dicts.

One row is what most requests hold, so its cells are read without making columns of them; what was learned of a frame's
labels is kept for the next request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.rows import cells, columns

_ONLY_ARRAYS = {np.ndarray}
_CELLS = (str, bytes, int, float, np.generic)
# up to here one object array of a whole frame is cheaper than a look at each of its columns
_FEW = 64


class Reader:
    """Finds the columns `names` in requests. A name may be asked for twice."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        # of the last frame: its labels, where in it the columns are, what it calls them, whether all are numbers
        self._labels: Any = None
        self._places: list[int] = []
        self._wanted: list[Any] = []
        self._numeric: bool | None = None

    def cells(self, request: Any) -> list[Any] | None:
        """The cells of a request of one row, in the order of `names`; None where it has more rows or none.

        Raises InputError where a column is missing.
        """
        form = form_of(request.__class__)
        if form == "dict":
            return self._cells_of_dict(request)
        if form == "frame":
            return self._cells_of_frame(request) if len(request) == 1 else None
        if form == "row":
            return self._cells_of_row(request)
        return self._from_mapping(request[0]) if form == "list" and _are_dicts(request) and len(request) == 1 else None

    def columns(self, request: Any) -> list[Any]:
        """Each column `(n,)` as stored, in the order of `names`.

        Raises InputError where a column is missing, or the request is of no form with named columns.
        """
        form = form_of(request.__class__)
        if form == "dict":
            return _equally_long([_column(value) for value in self._from_mapping(request)], self.names)
        if form == "frame":
            return self._columns_of_frame(request)
        if form == "row":
            return [cells.text([value]) for value in self._cells_of_row(request)]
        if columns.library_of(request) is not None:
            return self._columns_of_frame(columns.as_pandas(request))
        if form == "list" and _are_dicts(request):
            rows = [self._from_mapping(row, f" in row {n}") for n, row in enumerate(request, 1)]
            return [cells.text(row[i] for row in rows) for i in range(len(self.names))]
        raise InputError(
            f"rows come as named columns here ({_some(self.names)}), got {_described(request)}; give a dict of "
            "columns, a DataFrame, a row of one or a list of dicts"
        )

    def column(self, request: Any, place: int) -> Any:
        """The column at `place` of a request of one row, `(1,)` as stored."""
        form = form_of(request.__class__)
        if form == "frame":
            self._where(request.columns)
            return columns.stored(request[self._wanted[place]])
        if form == "row":
            return cells.text([request.iloc[self._where(request.index)[place]]])
        return _column(self._from_mapping(request[0] if form == "list" else request)[place])

    def _cells_of_dict(self, request: Mapping[str, Any]) -> list[Any] | None:
        found = self._from_mapping(request)
        try:
            if set(map(type, found)) != _ONLY_ARRAYS:
                return [_cell(value) for value in found]
            single = [column.item() for column in found]
        except ValueError:  # more than one row
            return None
        # nanoseconds of a date are no number
        return [_cell(value) for value in found] if int in set(map(type, single)) else single

    def _from_mapping(self, request: Mapping[str, Any], where: str = "") -> list[Any]:
        try:
            return [request[name] for name in self.names]
        except KeyError:
            by_text = {str(label): value for label, value in request.items()}
            missing = next((name for name in self.names if name not in by_text), None)
            if missing is not None:
                raise self._missing(missing, where) from None
            return [by_text[name] for name in self.names]

    def _cells_of_frame(self, frame: Any) -> list[Any]:
        places = self._where(frame.columns)
        if self._numeric is None:
            self._numeric = all(isinstance(kind, np.dtype) and kind.kind in "biuf" for kind in frame.dtypes)
        # numbers alone lie side by side already, of words beside them a row is made
        values = frame.to_numpy()[0].tolist() if self._numeric else frame.iloc[0].tolist()
        return [values[place] for place in places]

    def _cells_of_row(self, row: Any) -> list[Any]:
        values = row.tolist()
        return [values[place] for place in self._where(row.index)]

    def _columns_of_frame(self, frame: Any) -> list[Any]:
        places = self._where(frame.columns)
        if len(frame) > _FEW and len(set(frame.dtypes)) > 1:
            return [columns.stored(frame[label]) for label in self._wanted]
        values = frame.to_numpy()
        return [values[:, place] for place in places]

    def _where(self, labels: Any) -> list[int]:
        """The places of the columns among a frame's labels."""
        if labels is not self._labels and not (self._labels is not None and labels.identical(self._labels)):
            known = labels.tolist()
            self._places = self._found(known)
            self._wanted = [known[place] for place in self._places]
            self._labels, self._numeric = labels, None
        return self._places

    def _found(self, labels: list[Any]) -> list[int]:
        places: dict[str, int] = {}
        twice = set()
        for place, label in enumerate(labels):
            if places.setdefault(str(label), place) != place:
                twice.add(str(label))
        for name in self.names:
            if name not in places:
                raise self._missing(name)
            if name in twice:
                raise InputError(f"column {name!r} is there twice; the model takes one, so drop or rename the other")
        return [places[name] for name in self.names]

    def _missing(self, name: str, where: str = "") -> InputError:
        return InputError(f"column {name!r}, which the artifact takes, is missing{where}; give {_some(self.names)}")


@cache
def form_of(kind: type) -> str:
    """What a request of a class is: "dict", "frame", "row" (a pandas Series), "list"; "" where it has no columns."""
    if issubclass(kind, Mapping):
        return "dict"
    if hasattr(kind, "iloc"):
        return "frame" if hasattr(kind, "columns") else "row"
    return "list" if issubclass(kind, list | tuple) else ""


def count(request: Any) -> int:
    """How many rows a request has, in any of the forms that `Reader` takes, or as an array."""
    form = form_of(request.__class__)
    if form == "dict":
        first = next(iter(request.values()), ())
        return 1 if _is_cell(first) else len(first)
    return 1 if form == "row" else len(request)


def _are_dicts(request: Any) -> bool:
    return all(form_of(row.__class__) == "dict" for row in request)


def _some(names: Sequence[str]) -> str:
    few = tuple(dict.fromkeys(names))
    return ", ".join(few[:12]) + (f" and {len(few) - 12} more" if len(few) > 12 else "")


def _described(request: Any) -> str:
    return f"an array {np.shape(request)}" if isinstance(request, np.ndarray) else type(request).__name__


def _is_cell(value: Any) -> bool:
    return isinstance(value, _CELLS) or not hasattr(value, "__len__")


def _cell(value: Any) -> Any:
    """The only cell of a column, or the column where that says more; raises ValueError where it has more or none."""
    if _is_cell(value):
        return value
    if not hasattr(value, "dtype") or value.size != 1:
        raise ValueError
    if value.dtype.kind in "mM" or isinstance(value, np.ma.MaskedArray) or hasattr(value, "iloc"):
        return value
    return value.item() if isinstance(value, np.ndarray) else value[0]


def _column(value: Any) -> Any:
    """One column as an array or pandas' own: of a list, a single cell, a series, or an array `(n, 1)`."""
    value = [value] if _is_cell(value) else value
    value = columns.as_pandas(value) if columns.library_of(value) else value
    if not hasattr(value, "dtype"):
        return cells.text(value)
    if isinstance(value, np.ndarray):
        return value.reshape(-1) if value.ndim == 0 or value.shape[1:] == (1,) else value
    return columns.stored(value)


def _equally_long(found: list[Any], names: Sequence[str]) -> list[Any]:
    for name, column in zip(names, found, strict=True):
        if getattr(column, "ndim", 1) != 1 or len(column) != len(found[0]):
            raise InputError(
                f"column {name!r} has shape {np.shape(column)}, column {names[0]!r} {np.shape(found[0])}; give one "
                "cell per row in each"
            )
    return found
