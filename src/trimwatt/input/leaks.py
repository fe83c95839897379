"""Columns that tell nothing, and columns that tell the target itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.input.checks import listed
from trimwatt.workload import Array, Data

_SAMPLE_ROWS = (500, 20_000)
_SAMPLE_CELLS = 2_000_000
_BINS = 512
_ROWS_A_BIN = 8
_NEARLY_ALL = 0.99
_NEARLY_ALL_SPREAD = 0.999
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
        share = _told(_binned(column[rows]), y, data.classes is not None)
        if share is not None:
            found.append(f"column {name} alone gives the target ({share:.2%} right): is it known before the target is?")
    if data.classes is None and not found:
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


def _told(bins: Array, y: Array, classified: bool) -> float | None:
    """Share of held-out rows told right (or of their spread), where that is nearly all and no wonder otherwise."""
    half = len(y) // 2
    if bins.max() > half // 2:
        return None
    return _told_classes(bins, y, half) if classified else _told_values(bins, y, half)


def _told_classes(bins: Array, y: Array, half: int) -> float | None:
    table = np.zeros((bins.max() + 1, y.max() + 1))
    np.add.at(table, (bins[:half], y[:half]), 1)
    right = float((table.argmax(axis=1)[bins[half:]] == y[half:]).mean())
    majority = float((y[half:] == np.bincount(y[:half]).argmax()).mean())
    told = right >= _NEARLY_ALL and 1 - right <= 0.1 * (1 - majority)
    return right if told else None


def _told_values(bins: Array, y: Array, half: int) -> float | None:
    size = np.bincount(bins[:half], minlength=bins.max() + 1)
    mean = np.bincount(bins[:half], weights=y[:half], minlength=bins.max() + 1) / size.clip(min=1)
    error = y[half:] - mean[bins[half:]]
    spread = float(np.var(y[half:]))
    share = 1 - float(np.mean(error**2)) / spread if spread else 0.0
    return share if share >= _NEARLY_ALL_SPREAD else None


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
