"""Preprocessing of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework import _array, _graph
from trimwatt.picture import Picture
from trimwatt.workload import Array, Rows


@dataclass(frozen=True, eq=False)
class PixelScale:
    """Images as stored, to float32 `(n, c, h, w)` or `(n, h * w * c)`.

    dtype, shape: of an image as stored, (h, w), (h, w, c), or (c, h, w) where channels come first.
    mean, inverse: `(c, 1, 1)` or scalars `()`, None to leave pixels' unit.
    flat: one row of pixels an image, in the stored order. first: whether channels come first.
    """

    dtype: str
    shape: tuple[int, ...]
    mean: Array | None
    inverse: Array | None
    flat: bool
    first: bool = False

    @classmethod
    def fit(cls, images: Array, kind: str, first: bool = False) -> PixelScale:
        """Scaling by what `images` hold, flattened unless kind is "nchw"."""
        if images.ndim not in (3, 4) or images.dtype.kind not in "fiub":
            raise InputError(
                f"images are an array (n, h, w), (n, h, w, c) or (n, c, h, w), got {images.dtype} {images.shape}"
            )
        mean: Array | None = None
        inverse: Array | None = None
        if kind == "scaled":
            inverse = np.asarray(1.0 / _largest(images), dtype=np.float32)
        elif kind == "nchw":
            mean, inverse = (part.reshape(-1, 1, 1) for part in _per_channel(images, first))
        return cls(images.dtype.name, images.shape[1:], mean, inverse, kind != "nchw", first)

    def transform(self, rows: Rows) -> Array:
        values = np.asarray(rows, dtype=np.float32)
        if self.flat:
            values = values.reshape(len(values), -1)
        elif len(self.shape) == 2:
            values = values[:, None]
        elif not self.first:
            values = values.transpose(0, 3, 1, 2)
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
        picture = Picture.of(self.shape, self.first)
        return picture.channels, picture.height, picture.width

    def _arranged(self, graph: _graph.Graph) -> str:
        channels, height, width = self._nchw
        if self.flat:
            return graph.add("Reshape", "x", graph.constant([-1, channels * height * width], np.int64))
        if self.first:
            return "x"
        if channels == 1:
            return graph.add("Reshape", "x", graph.constant([-1, 1, height, width], np.int64))
        return graph.add("Transpose", "x", perm=[0, 3, 1, 2])


def _largest(images: Array) -> float:
    """What a full pixel is: by the stored type for bytes, else the largest seen (1 where that is less)."""
    return 255.0 if images.dtype == np.uint8 else max(1.0, float(np.max(np.abs(images))))


def _per_channel(images: Array, first: bool) -> tuple[Array, Array]:
    """Mean and inverse deviation per channel, float32 (c,), on at most 5000 evenly spread images."""
    spread = images[:: max(1, len(images) // 5000)]
    spread = spread[..., None] if images.ndim == 3 else np.moveaxis(spread, 1, 3) if first else spread
    return _array.scale_of(spread.reshape(-1, spread.shape[3]))
