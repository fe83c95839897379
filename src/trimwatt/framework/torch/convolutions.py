"""What the lean networks share: rounded widths, strides that suit the picture's size, convolution with what follows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

Activation = Callable[[], nn.Module]


def rounded(channels: float, to: int = 8) -> int:
    """The multiple of `to` nearest to `channels`, at least `to`, never more than a tenth below.

    Sandler et al. 2018, arXiv:1801.04381: widths that processors take whole.
    """
    nearest = max(to, math.floor(channels / to + 0.5) * to)
    return nearest + to if nearest < 0.9 * channels else nearest


def strides(side: int, places: int = 5) -> list[int]:
    """Stride at each of the `places` where a network for 224 pixels halves the picture, for one of `side` pixels.

    The last places halve as long as about 4 pixels a side are left, the first ones not: 32 pixels are halved by the
    last three, 8 by the last one.
    """
    halvings = min(places, max(0, round(math.log2(side / 4))))
    return [1] * (places - halvings) + [2] * halvings


class ConvNorm(nn.Sequential):
    """Convolution, batch normalization and, where there is one, an activation; the picture keeps its size / stride."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1,
        activation: Activation | None = nn.ReLU, eps: float = 1e-5,
    ) -> None:  # fmt: skip
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        layers: list[nn.Module] = [convolution, nn.BatchNorm2d(outputs, eps=eps)]
        super().__init__(*layers, *([activation()] if activation else []))


class SqueezeExcite(nn.Module):
    """Weigh each channel by what all of the picture says (Hu et al. 2018, arXiv:1709.01507)."""

    def __init__(self, channels: int, squeezed: int, activation: Activation, gate: Activation) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.activation, self.gate = activation(), gate()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weighed: torch.Tensor = x * self.gate(self.fc2(self.activation(self.fc1(self.avgpool(x)))))
        return weighed


class Resize(nn.Module):
    """Pictures to `(height, width)`: by averaging where that goes evenly, else bilinear."""

    def __init__(self, stored: tuple[int, int], wanted: tuple[int, int]) -> None:
        super().__init__()
        self.wanted = wanted
        even = all(before % after == 0 for before, after in zip(stored, wanted, strict=True))
        self.kernel = tuple(b // a for b, a in zip(stored, wanted, strict=True)) if even else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kernel is not None:
            return functional.avg_pool2d(x, self.kernel)
        return functional.interpolate(x, size=self.wanted, mode="bilinear", align_corners=False)


def resized(network: nn.Module, stored: tuple[int, int], side: int) -> nn.Module:
    """The network behind a `Resize` of pictures `stored` (height, width), so that their shorter side is `side`."""
    shorter = min(stored)
    if side == shorter:
        return network
    height, width = (max(1, round(length * side / shorter)) for length in stored)
    return nn.Sequential(Resize(stored, (height, width)), network)


def start_(network: nn.Module) -> None:
    """Fresh weights that keep the spread of what passes, whatever the depth (in place).

    He et al. 2015, arXiv:1502.01852.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.01)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
