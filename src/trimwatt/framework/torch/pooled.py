"""A network that sees smaller pictures. A file of its own, so that its objects travel between processes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Pooled(nn.Module):
    """`network` on pictures whose squares of `factor` by `factor` pixels are averaged.

    Rows (n, h, w), or (n, c, h, w) where channels come first, else (n, h, w, c).
    """

    def __init__(self, network: nn.Module, factor: int, first: bool) -> None:
        super().__init__()
        self.network, self.factor, self.first = network, factor, first

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        last = rows.ndim == 4 and not self.first
        pixels = rows.float()
        pixels = pixels.permute(0, 3, 1, 2) if last else pixels.unsqueeze(1) if rows.ndim == 3 else pixels
        even = rows.shape[-1 - last] % self.factor == rows.shape[-2 - last] % self.factor == 0
        less = functional.avg_pool2d(pixels, self.factor, ceil_mode=not even, count_include_pad=False)
        seen: torch.Tensor = self.network(
            less.permute(0, 2, 3, 1) if last else less.squeeze(1) if rows.ndim == 3 else less
        )
        return seen
