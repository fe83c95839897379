"""Rows in the form of a request, and back: the one place where DataFrames are read or made."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.workload import Array, Rows


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


def from_request(request: Any, texts: frozenset[str] = frozenset()) -> Rows:
    """Rows as stored, from an array, a dict of columns or a DataFrame. texts: names of the columns of text."""
    if isinstance(request, dict | np.ndarray):
        return request
    return {str(name): _stored(column, str(name) in texts) for name, column in request.items()}


def _stored(column: Any, text: bool) -> Array:
    if not text:
        return np.asarray(column.to_numpy(np.float32, na_value=np.nan))
    values: Array = column.to_numpy(object)
    missing = np.asarray(column.isna())
    return np.where(missing, "", values) if missing.any() else values
