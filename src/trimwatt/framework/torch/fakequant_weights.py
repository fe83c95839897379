"""What a quantized graph learns: weights and biases, as float numbers that are rounded at each pass."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from trimwatt.framework.torch.fakequant import Grid
from trimwatt.workload import Array

_PRUNED = 0.5


class Learned(nn.Module):
    """Numbers learned in a unit of their own size, so that one learning rate suits all layers: they start as those of
    a new layer are, with variance 1 / inputs. axis: of the layer's outputs.
    """

    kept: torch.Tensor | None

    def __init__(self, content: Array, unit: float | None = None, axis: int = 0) -> None:
        super().__init__()
        inputs = content.size / content.shape[axis] if content.ndim > 1 else 1.0
        size = float(np.sqrt(np.mean(np.square(content, dtype=np.float64)) * inputs))
        self.unit = unit or size or 1.0
        pruned = content.ndim > 1 and bool((content == 0).mean() >= _PRUNED)
        # zeros of a pruned layer, and those that stand around a folded kernel
        self.register_buffer("kept", torch.from_numpy(content != 0) if pruned else None, persistent=False)
        self.content = nn.Parameter(torch.from_numpy((content / self.unit).astype(np.float32)))

    def forward(self) -> torch.Tensor:
        """The numbers as they are now."""
        now = self.content * self.unit
        return now if self.kept is None else now * self.kept


class Rounded(Learned):
    """Weights on a grid."""

    def __init__(self, level: Array, grid: Grid, axis: int | None) -> None:
        with torch.no_grad():
            content = grid.values(torch.from_numpy(level.astype(np.float32)), axis).numpy()
        super().__init__(content, axis=axis or 0)
        self.grid, self.axis = grid, axis

    def forward(self) -> torch.Tensor:
        return self.grid.values(self.levels(), self.axis)

    def levels(self) -> torch.Tensor:
        """The levels that are stored."""
        return self.grid.levels(super().forward(), self.axis)


class Bias(Learned):
    """A bias (out,), whose grid is that of the products it is added to: too fine to be felt, so only stored on it.

    source: the grid of the layer's input, None where it has no grid of its own to learn. weight: the layer's.
    """

    def __init__(self, content: Array, spread: float, source: Grid, weight: Rounded) -> None:
        super().__init__(content, spread * weight.unit)
        # lists keep modules out of this one's own: they are others' parts
        self._parts = [(source, weight.grid)]

    def stored(self) -> tuple[Array, Array]:
        """Levels (int32) and scales."""
        source, weight = self._parts[0]
        scale = (source.distance() * weight.distance()).numpy().reshape(-1)
        # in doubles: float32 would round large sums
        level = np.rint(self().numpy().astype(np.float64) / scale)
        return np.clip(level, -(2**31) + 1, 2**31 - 1), scale
