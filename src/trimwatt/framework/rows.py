"""Rows in the form of a request, and back: the one place where DataFrames are read or made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.workload import Array, Rows

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
    """A DataFrame of the columns, missing text as NaN."""
    import pandas as pd

    frame = {}
    for name, column in rows.items():
        if column.dtype.kind in "OUST":
            column = column.astype(object)
            column[column == ""] = np.nan
        frame[name] = pd.Series(column, dtype=column.dtype)
    return pd.DataFrame(frame)


def from_request(request: Any, texts: frozenset[str] = frozenset(), read: frozenset[str] | None = None) -> Rows:
    """Rows as stored, from an array, a dict of columns or a DataFrame.

    texts: names of the columns of text. read: of those that are read, None for all; of a DataFrame no other is touched.
    """
    if isinstance(request, dict | np.ndarray):
        return request
    found = ((name, column) for name, column in _columns(request) if read is None or name in read)
    return {name: _text(column) if name in texts else _number(column) for name, column in found}


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
        return np.asarray([np.nan if _missing(value) else value for value in column.tolist()], dtype=np.float32)


def _text(column: Array) -> Array:
    words = [value if type(value) is str else _word(value) for value in column.tolist()]
    return np.fromiter(words, dtype=object, count=len(words))


def _word(value: Any) -> str:
    return "" if _missing(value) else str(value)


def _missing(value: Any) -> bool:
    import pandas as pd

    return value is None or bool(pd.isna(value))
