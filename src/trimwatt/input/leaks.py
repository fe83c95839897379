"""Columns that tell nothing, and columns that tell the target itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.input.checks import listed
from trimwatt.tasks import Task
from trimwatt.workload import Array, Data

_SAMPLE_ROWS = (500, 20_000)
_SAMPLE_CELLS = 2_000_000
_BINS = 512
_ROWS_A_BIN = 8
_MOST_SUMMANDS = 64


def constant_columns(data: Data) -> list[str]:
    """Names of columns with one value (or none) in the training rows; column numbers where they have no names."""
    x = data.train.x
    if isinstance(x, dict):
        return [name for name, column in x.items() if _is_constant(column)]
    if data.kind == "image" or x.ndim != 2:
        return []
    # fmin and fmax pass over NaN, and give it only where nothing else is there
    low, high = np.fmin.reduce(x, axis=0), np.fmax.reduce(x, axis=0)
    return [str(place) for place in np.flatnonzero((low == high) | (low != low))]


def _is_constant(column: Array) -> bool:
    if column.dtype == object:
        return len(set(column.tolist())) < 2
    present = column[~np.isnan(column)] if column.dtype.kind == "f" else column
    return len(present) == 0 or bool((present == present[0]).all())


def leaking_columns(data: Data) -> list[str]:
    """Warnings for columns that alone, or summed, give the target: each judged on rows it was not fitted on."""
    columns = _columns(data)
    most = int(np.clip(_SAMPLE_CELLS // max(1, len(columns)), *_SAMPLE_ROWS))
    rows = np.random.default_rng(0).permutation(len(data.train))[:most]
    y = data.train.y[rows]
    found = []
    for name, column in columns.items():
        share = _explained(_binned(column[rows]), y, data.task)
        if share is not None:
            found.append(f"column {name} alone gives the target ({share:.2%} right): is it known before the target is?")
    if data.task.target == "value" and not found:
        found += _summands({n: c[rows] for n, c in columns.items() if c.dtype != object}, y)
    return found


def _columns(data: Data) -> dict[str, Array]:
    x = data.train.x
    if isinstance(x, dict):
        return x
    return {} if data.kind == "image" or x.ndim != 2 else {str(place): x[:, place] for place in range(x.shape[1])}


def _binned(column: Array) -> Array:
    """Codes of categories or of quantile bins, wide enough to be judged."""
    if column.dtype == object:
        return _codes(column)
    if len(present := column[np.isfinite(column)]) == 0:
        return np.zeros(len(column), dtype=np.int64)
    values = np.nan_to_num(column.astype(np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    bins = min(_BINS, max(2, len(values) // _ROWS_A_BIN))
    edges = np.unique(np.quantile(present.astype(np.float64), np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, values, side="left")


def _codes(column: Array) -> Array:
    values = column.tolist()
    code = {value: place for place, value in enumerate(dict.fromkeys(values))}
    return np.fromiter(map(code.__getitem__, values), np.int64, len(values))


def _explained(bins: Array, y: Array, task: Task) -> float | None:
    """The share of the target that bins give away, where there are rows enough in each to judge that."""
    half = len(y) // 2
    return None if bins.max() > half // 2 else task.explain(bins, y, half)


def _summands(columns: dict[str, Array], y: Array) -> list[str]:
    """Columns whose weighted sum is the target, such as counts of parts beside the count of all."""
    if not 2 <= len(columns) <= _MOST_SUMMANDS or len(y) < 4 * len(columns):
        return []
    x = np.column_stack([np.nan_to_num(column.astype(np.float64)) for column in columns.values()])
    spread = x.std(axis=0)
    kept = spread > 0
    scaled = (x[:, kept] - x[:, kept].mean(axis=0)) / spread[kept]
    weights: Any = np.linalg.lstsq(scaled, y - y.mean(), rcond=None)[0]
    left = y - y.mean() - scaled @ weights
    if float(np.var(left)) > 1e-6 * float(np.var(y)):
        return []
    names = np.array(list(columns), dtype=object)[kept]
    summed = names[np.abs(weights) > 0.01 * np.std(y)]
    return [f"the target is a weighted sum of columns {listed(summed, 6)}: are they known before the target is?"]
