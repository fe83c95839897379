"""Whether float32 is enough for the numbers that a given scikit-learn model was fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import sklearn
from trimwatt.framework.onnx import run
from trimwatt.framework.prepare import StackPrepare
from trimwatt.rows.columns import kind_of, moved, plain
from trimwatt.workload import Array, Stored, Workload

_ROWS = 400
# what the check of every export allows, and what float32 alone explains
BOUND, EXACT = 1e-3, 1e-5
_SHARE = 0.999
_WIDE = 4  # bytes of a float32


def wider(workload: Workload) -> bool:
    """Whether the model takes numbers as stored in more than 32 bits: a given one, without preprocessing made here."""
    if workload.prepare is not None and not isinstance(workload.prepare, StackPrepare):
        return False
    rows = workload.rows.train.x
    if isinstance(rows, dict):
        return isinstance(rows, Stored) and any(_is_wide(column) for column in rows.values())
    return _is_wide(rows)


def _is_wide(column: Any) -> bool:
    if kind_of(column) != "number":
        return False
    return not isinstance(column, np.ndarray) or column.dtype.itemsize > _WIDE or column.dtype == object


def full(column: Any) -> np.dtype[Any]:
    """int64 for a column of whole numbers without gaps, float64 for all other numbers."""
    whole = isinstance(column, np.ndarray) and column.dtype.kind in "biu" and not isinstance(column, np.ma.MaskedArray)
    return np.dtype(np.int64 if whole else np.float64)


def error(workload: Workload, lowered: Workload) -> float:
    """How far the ONNX model is from scikit-learn on some hundred training rows, but for one in a thousand of them.

    In probabilities, or in shares of the spread of values; infinite where it cannot be asked.
    """
    rows = workload.rows.train.sample(_ROWS, workload.seed).x
    expected = sklearn.scores(workload, rows)
    try:
        got = run.scores(lowered, rows)
    except (InputError, TrialFailed):
        return float("inf")
    if got.shape != expected.shape or not np.isfinite(got).all():
        return float("inf")
    errors = np.abs(expected - got).reshape(len(got), -1).max(axis=1) / workload.task.scale(expected)
    return float(np.quantile(errors, _SHARE, method="lower"))


def rounded(workload: Workload) -> list[str]:
    """Names of the columns whose numbers change in float32, their places where they have no names."""
    rows = workload.rows.train.x
    if isinstance(rows, dict):
        return [name for name, column in rows.items() if kind_of(column) == "number" and _moves(column, name)]
    if rows.ndim != 2:
        return []
    return [str(place) for place in range(rows.shape[1]) if _moves(rows[:, place], str(place))]


def _moves(column: Any, name: str) -> bool:
    values: Array = plain(column, name)
    return bool(values.dtype.kind == "f" and moved(values))
