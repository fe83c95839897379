"""Numbers on a grid of few levels, and what a gradient is told of it.

Rounding has no slope, so the gradient passes it as if it were not there (straight-through, Bengio et al. 2013,
arXiv:1308.3432), and stops where a number is cut off at the end of the grid. The distance between levels learns from
the same gradient (LSQ, Esser et al. 2020, arXiv:1902.08153).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

FORGETS = 0.05


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0]


class _Calm(torch.autograd.Function):
    """The same number, with its gradient times a constant."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0] * ctx.factor, None


def levels(x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, low: int, high: int) -> torch.Tensor:
    """Whole numbers from low to high, as floats: the level nearest to each number of `x`, halves to even.

    scale, zero: distance between levels and the level of 0; each broadcasts to `x`. The gradient passes to `x` inside
    the grid and is zero outside.
    """
    rounded: torch.Tensor = _Round.apply(x / scale)  # type: ignore[no-untyped-call]
    return (rounded + zero).clamp(low, high)


def values(level: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    """What levels stand for."""
    return (level - zero) * scale


def fake(x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, low: int, high: int) -> torch.Tensor:
    """`x` on the grid: what is left of it after int8 and back."""
    return values(levels(x, scale, zero, low, high), scale, zero)


class Grid(nn.Module):
    """A grid whose distance between levels is learned, or follows what passes.

    scale: positive, one number or one for each channel. zero: the level of 0, kept as it is, so that a ReLU that
    became the end of the grid stays one. ranges: "learned" (the logarithm of the scale is a parameter), "averaged"
    (widened or narrowed, while training, to a moving average of the extremes) or "kept".
    """

    scale: torch.Tensor
    zero: torch.Tensor

    def __init__(self, scale: torch.Tensor, zero: torch.Tensor, low: int, high: int, ranges: str = "learned") -> None:
        super().__init__()
        self.low, self.high, self.ranges = low, high, ranges
        self.register_buffer("scale", scale.float())
        self.register_buffer("zero", zero.float())
        self.change = nn.Parameter(torch.zeros_like(self.scale)) if ranges == "learned" else None

    def distance(self) -> torch.Tensor:
        """The distance between levels as it is now."""
        return self.scale if self.change is None else self.scale * self.change.exp()

    def levels(self, x: torch.Tensor, axis: int | None = None) -> torch.Tensor:
        """Levels of `x`; axis: along which each channel has its own scale."""
        if self.training and self.ranges == "averaged":
            self._follow(x.detach())
        scale, zero = self._shaped(x, axis)
        if self.change is not None:
            # each of many numbers pulls at the one scale
            factor = (self.scale.numel() / (x.numel() * self.high)) ** 0.5
            scale = _Calm.apply(scale, factor)  # type: ignore[no-untyped-call]
        return levels(x, scale, zero, self.low, self.high)

    def values(self, level: torch.Tensor, axis: int | None = None) -> torch.Tensor:
        """What levels stand for."""
        return values(level, *self._shaped(level, axis))

    def _shaped(self, x: torch.Tensor, axis: int | None) -> tuple[torch.Tensor, torch.Tensor]:
        scale = self.distance()
        if scale.ndim == 0 or scale.numel() == 1:
            return scale.reshape(()), self.zero.reshape(())
        shape = [1] * x.ndim
        shape[0 if axis is None else axis] = -1
        return scale.reshape(shape), self.zero.reshape(shape)

    def _follow(self, x: torch.Tensor) -> None:
        """Move the scale towards the one that just spans `x`."""
        zero = float(self.zero)
        ends = [float(x.max()) / (self.high - zero)] if self.high > zero else []
        ends += [float(x.min()) / (self.low - zero)] if self.low < zero else []
        if (wanted := max(ends)) > 0:
            self.scale.mul_(1 - FORGETS).add_(FORGETS * wanted)
