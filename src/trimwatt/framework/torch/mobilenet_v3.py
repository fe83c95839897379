"""MobileNet v3, small and large. Layers are named as in torchvision."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from trimwatt.framework.torch.convolutions import Activation, ConvNorm, SqueezeExcite, rounded, start_, strides

EPS = 1e-3


@dataclass(frozen=True)
class _Row:
    """A line of the tables. halving: at which of the five places it stands, None where it keeps the size."""

    kernel: int
    expanded: int
    outputs: int
    excites: bool
    activation: Activation
    halving: int | None = None


_R, _H = nn.ReLU, nn.Hardswish
_LARGE = (
    _Row(3, 16, 16, False, _R), _Row(3, 64, 24, False, _R, 1), _Row(3, 72, 24, False, _R),
    _Row(5, 72, 40, True, _R, 2), _Row(5, 120, 40, True, _R), _Row(5, 120, 40, True, _R),
    _Row(3, 240, 80, False, _H, 3), _Row(3, 200, 80, False, _H), _Row(3, 184, 80, False, _H),
    _Row(3, 184, 80, False, _H), _Row(3, 480, 112, True, _H), _Row(3, 672, 112, True, _H),
    _Row(5, 672, 160, True, _H, 4), _Row(5, 960, 160, True, _H), _Row(5, 960, 160, True, _H),
)  # fmt: skip
_SMALL = (
    _Row(3, 16, 16, True, _R, 1), _Row(3, 72, 24, False, _R, 2), _Row(3, 88, 24, False, _R),
    _Row(5, 96, 40, True, _H, 3), _Row(5, 240, 40, True, _H), _Row(5, 240, 40, True, _H),
    _Row(5, 120, 48, True, _H), _Row(5, 144, 48, True, _H),
    _Row(5, 288, 96, True, _H, 4), _Row(5, 576, 96, True, _H), _Row(5, 576, 96, True, _H),
)  # fmt: skip
_VERSIONS = {"large": (_LARGE, 1280), "small": (_SMALL, 1024)}


class Bottleneck(nn.Module):
    """An inverted residual whose widened channels may be weighed by squeeze and excitation."""

    def __init__(self, inputs: int, row: _Row, width: float, stride: int) -> None:
        super().__init__()
        wide, outputs = rounded(row.expanded * width), rounded(row.outputs * width)
        layers: list[nn.Module] = []
        if wide != inputs:
            layers.append(ConvNorm(inputs, wide, 1, activation=row.activation, eps=EPS))
        layers.append(ConvNorm(wide, wide, row.kernel, stride, wide, row.activation, EPS))
        if row.excites:
            layers.append(SqueezeExcite(wide, rounded(wide / 4), nn.ReLU, nn.Hardsigmoid))
        layers.append(ConvNorm(wide, outputs, 1, activation=None, eps=EPS))
        self.block = nn.Sequential(*layers)
        self.added = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.block(x)
        return x + y if self.added else y


class MobileNetV3(nn.Module):
    """Pictures `(n, channels, h, w)` of about `side` pixels to logits `(n, outputs)`; version: "small" or "large".

    Howard et al. 2019, arXiv:1905.02244, tables 1 and 2.
    """

    def __init__(
        self, version: str = "small", channels: int = 3, outputs: int = 1000, width: float = 1.0, side: int = 224
    ) -> None:
        super().__init__()
        rows, hidden = _VERSIONS[version]
        halve, inputs = strides(side), rounded(16 * width)
        layers: list[nn.Module] = [ConvNorm(channels, inputs, 3, halve[0], activation=nn.Hardswish, eps=EPS)]
        for row in rows:
            layers.append(Bottleneck(inputs, row, width, 1 if row.halving is None else halve[row.halving]))
            inputs = rounded(row.outputs * width)
        last = 6 * inputs
        self.features = nn.Sequential(*layers, ConvNorm(inputs, last, 1, activation=nn.Hardswish, eps=EPS))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        hidden = rounded(hidden * width)
        self.classifier = nn.Sequential(
            nn.Linear(last, hidden), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(hidden, outputs)
        )
        start_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return answer
