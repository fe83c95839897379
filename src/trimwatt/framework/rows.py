"""Rows in the form of a request, and back: the one place where DataFrames are read or made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.rows import columns as stored_columns
from trimwatt.rows import view as views
from trimwatt.workload import Array, Rows, Stored, View, unmasked

# up to here one object array of the whole frame is cheaper than a look at each column: 41 against 205 us for one row
_FEW = 64


def as_request(rows: Rows, request: str) -> Any:
    """Rows as stored, in the scenario's form: as they are for "array" and "dict", a pandas DataFrame for "frame"."""
    if request != "frame":
        return rows
    if not isinstance(rows, dict):
        raise InputError("a DataFrame needs named columns, and these rows are one array; ask request='array'")
    return to_frame(rows)


def to_frame(rows: dict[str, Array]) -> Any:
    """A DataFrame of the columns: stored ones as they are, each with its own type and label; plain ones, "" as NaN."""
    import pandas as pd

    if isinstance(rows, Stored):
        labels = rows.labels or {}
        made = {labels.get(name, name): _series(column) for name, column in rows.items()}
        return pd.DataFrame(made)
    frame = {}
    for name, column in rows.items():
        if column.dtype.kind in "OUST":
            column = column.astype(object)
            column[column == ""] = np.nan
        frame[name] = pd.Series(column, dtype=column.dtype)
    return pd.DataFrame(frame)


def own_frame(rows: dict[str, Array]) -> Any:
    """A frame of the columns in the library they came from: what the user's own model takes."""
    frame = to_frame(rows)
    if isinstance(rows, Stored) and rows.library == "polars":
        polars = require("polars", "sklearn", "A model fitted on polars frames")
        return polars.from_pandas(frame)
    return frame


def _series(column: Any) -> Any:
    import pandas as pd

    # pandas would guess a type for objects and for numpy's text
    return pd.Series(column, dtype=object if column.dtype == object else None, copy=False)


def as_array(rows: Any) -> Array:
    """Rows that are one array, NaN where they are masked."""
    return unmasked(rows) if isinstance(rows, np.ma.MaskedArray) else np.asarray(rows)


def as_stored(request: Any) -> Mapping[str, Any]:
    """Named columns of a request as they are: of a dict, or of a DataFrame."""
    if isinstance(request, Mapping):
        return request
    return {str(label): stored_columns.stored(column) for label, column in request.items()}


def from_request(
    request: Any, texts: frozenset[str] = frozenset(), read: frozenset[str] | None = None, view: View | None = None
) -> Rows:
    """Rows as stored, from an array, a dict of columns or a DataFrame.

    texts: names of the columns of text. read: of those that are read, None for all; of a DataFrame no other is touched.
    view: how a model made here sees stored columns, which it then does itself; None where they are plain.
    """
    if isinstance(request, dict | np.ndarray):
        return request
    if view is not None:
        wanted = None if read is None else set(view.stored(read))
        return Stored(as_stored(request[_labels(request, wanted)]))
    found = ((name, column) for name, column in _columns(request) if read is None or name in read)
    return {name: _text(column) if name in texts else _number(column) for name, column in found}


def _labels(frame: Any, wanted: Collection[str] | None) -> list[Any]:
    return [label for label in frame.columns if wanted is None or str(label) in wanted]


def fed(request: Any, types: Mapping[str, Any], view: View | None = None) -> dict[str, Array]:
    """What a model takes of a request, by name, each `(n, 1)`. types: numpy type of each of its inputs.

    Text is given as it is, "" where missing; numbers as the model's type. view: how it sees stored columns, None where
    they are plain or it takes them as stored.
    """
    if view is not None:
        return {n: c.reshape(-1, 1) for n, c in view.apply(as_stored(request), types).items()}
    if not isinstance(request, Stored) and isinstance(request, dict):
        return {name: _as_is(request[name], kind).reshape(-1, 1) for name, kind in types.items()}
    if not isinstance(request, Stored) and all(kind in (object, np.float32) for kind in types.values()):
        texts = frozenset(name for name, kind in types.items() if kind is object)
        plain = from_request(request, texts, frozenset(types))
        return {name: plain[name].reshape(-1, 1) for name in types}  # type: ignore[call-overload]
    rows = as_stored(request)
    return {name: typed(rows[name], kind, name).reshape(-1, 1) for name, kind in types.items()}


def _as_is(column: Array, kind: Any) -> Array:
    return column if kind is object or column.dtype == kind else column.astype(kind)


def typed(column: Any, kind: Any, label: str) -> Array:
    """A stored column as text (`kind` is object) or as numbers of the type `kind`.

    Raises InputError where it holds what that type cannot.
    """
    if kind is object:
        return _text(column)
    if isinstance(column, np.ma.MaskedArray) or not (isinstance(column, np.ndarray) and column.dtype.kind in "biuf"):
        column = stored_columns.plain(column, label)
        if column.dtype.kind != "f":
            return views.numbers(column, label, {}).astype(kind)
    if kind == np.float32:
        return stored_columns.single(column)[0]
    if np.dtype(kind).kind in "iu" and column.dtype.kind == "f" and not bool(np.all(column == np.trunc(column))):
        raise InputError(f"column {label!r} holds missing or broken numbers; the model takes whole ones there")
    return np.asarray(column, dtype=kind)


def _columns(frame: Any) -> Iterator[tuple[str, Array]]:
    """Each column's name and values."""
    if len(frame) > _FEW:
        for name, column in frame.items():
            yield str(name), column.to_numpy()
        return
    values = frame.to_numpy(object)
    for i, name in enumerate(frame.columns):
        yield str(name), values[:, i]


def _number(column: Array) -> Array:
    try:
        return np.asarray(column, dtype=np.float32)
    except (TypeError, ValueError):
        # pandas' own missing value is no number
        return np.asarray(
            [np.nan if stored_columns.is_missing(value) else value for value in column.tolist()], dtype=np.float32
        )


def _text(column: Any) -> Array:
    words = [value if type(value) is str else _word(value) for value in column.tolist()]
    return np.fromiter(words, dtype=object, count=len(words))


def _word(value: Any) -> str:
    return "" if stored_columns.is_missing(value) else str(value)
