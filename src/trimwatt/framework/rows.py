"""Rows in the form of a request, and back: the one place where DataFrames are read or made."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.rows.columns import stored
from trimwatt.rows.fields import text, typed
from trimwatt.workload import Array, Prepare, Rows, Stored, unmasked


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


def from_request(request: Any, texts: frozenset[str] = frozenset()) -> Rows:
    """Rows as stored, from an array, a dict of columns or a DataFrame: what preparation of a user's own takes.

    texts: names of the columns of text.
    """
    if isinstance(request, dict | np.ndarray):
        return request
    return {
        str(label): text(column) if str(label) in texts else typed(stored(column), np.dtype(np.float32), str(label))
        for label, column in request.items()
    }


def takes_requests(prepare: Prepare | None) -> bool:
    """Whether preparation takes named columns in any form, as that of models made here does."""
    return bool(getattr(prepare, "takes_requests", False))
