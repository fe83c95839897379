"""Preprocessing of a table that is one array of numbers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from trimwatt.framework import _graph
from trimwatt.workload import Array, Rows, unmasked


def medians(values: Array) -> Array:
    """Median of each column without its NaN, 0 for a column of nothing else; float32 (features,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nan_to_num(np.nanmedian(values, axis=0)), dtype=np.float32)


def scale_of(values: Array) -> tuple[Array, Array]:
    """Mean and inverse standard deviation of each column, float32 (features,); a constant column keeps its unit."""
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    constant = deviation <= 1e-7 * np.maximum(1.0, np.abs(mean))
    return mean.astype(np.float32), (1.0 / np.where(constant, 1.0, deviation)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ArrayPrepare:
    """Impute and perhaps standardise `(n, features)`.

    dtype: of the rows as stored. fill: value for NaN (features,), None where the stored type has no NaN.
    mean, inverse: (features,), None where numbers keep their scale.
    """

    dtype: str
    features: int
    fill: Array | None
    mean: Array | None
    inverse: Array | None

    @classmethod
    def fit(cls, rows: Array, scale: bool) -> ArrayPrepare:
        if isinstance(rows, np.ma.MaskedArray):
            rows = unmasked(rows).astype(rows.dtype if rows.dtype.kind == "f" else np.float64)
        fill = medians(rows) if rows.dtype.kind == "f" else None
        full = rows if fill is None else np.where(np.isnan(rows), fill, rows)
        mean, inverse = scale_of(full) if scale else (None, None)
        return cls(rows.dtype.name, rows.shape[1], fill, mean, inverse)

    def transform(self, rows: Rows) -> Array:
        plain = unmasked(rows) if isinstance(rows, np.ma.MaskedArray) else rows
        values = np.asarray(plain, dtype=np.float32)
        if self.fill is not None:
            missing = np.isnan(values)
            values = np.where(missing, self.fill, values)
        return values if self.mean is None or self.inverse is None else (values - self.mean) * self.inverse

    def to_onnx(self) -> bytes:
        graph = _graph.Graph("prepare")
        name = _graph.as_float(graph, "x", self.dtype)
        if self.fill is not None:
            name = _graph.imputed(graph, name, self.fill)
        name = _graph.standardized(graph, name, self.mean, self.inverse)
        if not graph.nodes:
            graph.add("Identity", name)
        graph.rename_last("prepared")
        shape = ("n", self.features)
        inputs, outputs = [_graph.value("x", self.dtype, shape)], [_graph.value("prepared", np.float32, shape)]
        return bytes(graph.model(inputs, outputs).SerializeToString())
