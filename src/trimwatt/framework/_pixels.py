"""Preprocessing of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework import _array, _graph
from trimwatt.workload import Array, Rows


@dataclass(frozen=True, eq=False)
class PixelScale:
    """Images `(n, h, w)` or `(n, h, w, channels)` as stored, to float32 `(n, c, h, w)` or `(n, h * w * channels)`.

    dtype, shape: of an image as stored. mean, inverse: `(c, 1, 1)` or scalars `()`, None to leave pixels' unit.
    flat: one row of pixels an image, in the stored order.
    """

    dtype: str
    shape: tuple[int, ...]
    mean: Array | None
    inverse: Array | None
    flat: bool

    @classmethod
    def fit(cls, images: Array, kind: str) -> PixelScale:
        if images.ndim not in (3, 4) or images.dtype.kind not in "fiub":
            raise InputError(f"images are an array (n, h, w) or (n, h, w, c), got {images.dtype} {images.shape}")
        mean: Array | None = None
        inverse: Array | None = None
        if kind == "scaled":
            inverse = np.asarray(1.0 / _largest(images), dtype=np.float32)
        elif kind == "nchw":
            mean, inverse = (part.reshape(-1, 1, 1) for part in _per_channel(images))
        return cls(images.dtype.name, images.shape[1:], mean, inverse, flat=kind != "nchw")

    def transform(self, rows: Rows) -> Array:
        values = np.asarray(rows, dtype=np.float32)
        if self.flat:
            values = values.reshape(len(values), -1)
        else:
            values = values[:, None] if len(self.shape) == 2 else values.transpose(0, 3, 1, 2)
        if self.mean is not None:
            values = values - self.mean
        return np.ascontiguousarray(values if self.inverse is None else values * self.inverse)

    def to_onnx(self) -> bytes:
        graph = _graph.Graph("prepare")
        # moved before the cast: a byte is a quarter of a float
        name = _graph.as_float(graph, self._arranged(graph), self.dtype)
        _graph.standardized(graph, name, self.mean, self.inverse)
        graph.rename_last("prepared")
        out = ("n", int(np.prod(self.shape))) if self.flat else ("n", *self._nchw)
        inputs = [_graph.value("x", self.dtype, ("n", *self.shape))]
        return bytes(graph.model(inputs, [_graph.value("prepared", np.float32, out)]).SerializeToString())

    @property
    def _nchw(self) -> tuple[int, int, int]:
        height, width = self.shape[:2]
        return (self.shape[2] if len(self.shape) == 3 else 1), height, width

    def _arranged(self, graph: _graph.Graph) -> str:
        channels, height, width = self._nchw
        if self.flat:
            return graph.add("Reshape", "x", graph.constant([-1, channels * height * width], np.int64))
        if channels == 1:
            return graph.add("Reshape", "x", graph.constant([-1, 1, height, width], np.int64))
        return graph.add("Transpose", "x", perm=[0, 3, 1, 2])


def _largest(images: Array) -> float:
    """What a full pixel is: by the stored type for bytes, else the largest seen (1 where that is less)."""
    return 255.0 if images.dtype == np.uint8 else max(1.0, float(np.max(np.abs(images))))


def _per_channel(images: Array) -> tuple[Array, Array]:
    """Mean and inverse deviation per channel, float32 (c,), on at most 5000 evenly spread images."""
    spread = images[:: max(1, len(images) // 5000)]
    return _array.scale_of(spread.reshape(-1, images.shape[3] if images.ndim == 4 else 1))
