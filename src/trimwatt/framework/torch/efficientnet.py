"""EfficientNet, and compound scaling of depth, width and resolution under a budget. Layers named as in torchvision."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from trimwatt.errors import TrialFailed
from trimwatt.framework.torch.convolutions import ConvNorm, SqueezeExcite, rounded, start_, strides

# how depth, width and resolution grow with the compound coefficient: section 3.3 of the paper
ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15
# expansion, kernel, outputs, blocks, halving: table 1
_STAGES = (
    (1, 3, 16, 1, None), (6, 3, 24, 2, 1), (6, 5, 40, 2, 2), (6, 3, 80, 3, 3), (6, 5, 112, 3, None),
    (6, 5, 192, 4, 4), (6, 3, 320, 1, None),
)  # fmt: skip
_LEAST, _MOST = -24.0, 8.0


@dataclass(frozen=True)
class Scale:
    """Factors of depth and width, pixels of the shorter side, dropout before the head.

    stored: pixels before the picture was made smaller, by which it is halved; None as `side`.
    """

    depth: float
    width: float
    side: int
    dropout: float = 0.2
    stored: int | None = None

    @property
    def halvings(self) -> list[int]:
        """The stride of the first convolution and of the four stages that may halve."""
        return strides(min(self.stored or self.side, 2 * self.side))

    def blocks(self) -> Iterator[list[tuple[int, int, int, int, int]]]:
        """For each stage, (inputs, outputs, expansion, kernel, stride) of its blocks."""
        halve, inputs = self.halvings, rounded(32 * self.width)
        for expansion, kernel, wanted, blocks, place in _STAGES:
            made, stage = rounded(wanted * self.width), []
            for block in range(math.ceil(blocks * self.depth - 1e-9)):
                stride = halve[place] if place is not None and block == 0 else 1
                stage.append((inputs, made, expansion, kernel, stride))
                inputs = made
            yield stage


PUBLISHED = {
    "b0": Scale(1.0, 1.0, 224), "b1": Scale(1.1, 1.0, 240), "b2": Scale(1.2, 1.1, 260, 0.3),
    "b3": Scale(1.4, 1.2, 300, 0.3), "b4": Scale(1.8, 1.4, 380, 0.4), "b5": Scale(2.2, 1.6, 456, 0.4),
    "b6": Scale(2.6, 1.8, 528, 0.5), "b7": Scale(3.1, 2.0, 600, 0.5),
}  # fmt: skip


class MBConv(nn.Module):
    """An inverted residual with squeeze and excitation; the squeezed width follows the narrow input."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = rounded(inputs * expansion)
        widen = [ConvNorm(inputs, wide, 1, activation=nn.SiLU)] if wide != inputs else []
        self.block = nn.Sequential(
            *widen, ConvNorm(wide, wide, kernel, stride, wide, nn.SiLU),
            SqueezeExcite(wide, max(1, inputs // 4), nn.SiLU, nn.Sigmoid),
            ConvNorm(wide, outputs, 1, activation=None),
        )  # fmt: skip
        self.added = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.block(x)
        return x + y if self.added else y


class EfficientNet(nn.Module):
    """Pictures `(n, channels, h, w)` of about `scale.side` pixels to logits `(n, outputs)`.

    Tan and Le 2019, arXiv:1905.11946, table 1; without the stochastic depth of the published training.
    """

    def __init__(self, scale: Scale = PUBLISHED["b0"], channels: int = 3, outputs: int = 1000) -> None:
        super().__init__()
        first = rounded(32 * scale.width)
        stages: list[nn.Module] = [ConvNorm(channels, first, 3, scale.halvings[0], activation=nn.SiLU)]
        for stage in scale.blocks():
            stages.append(nn.Sequential(*(MBConv(*block) for block in stage)))
            inputs = stage[-1][1]
        last = 4 * inputs
        self.features = nn.Sequential(*stages, ConvNorm(inputs, last, 1, activation=nn.SiLU))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(scale.dropout), nn.Linear(last, outputs))
        start_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return answer


def compound(phi: float, side: int) -> Scale:
    """The scale at compound coefficient `phi`, 0 being b0 on pictures of `side` pixels.

    Pictures are made smaller where phi is negative, never larger than they are: pixels made up tell nothing.
    """
    return Scale(ALPHA**phi, BETA**phi, min(side, max(8, round(side * GAMMA**phi))), stored=side)


def size(scale: Scale, channels: int, outputs: int) -> tuple[int, int]:
    """(multiply-accumulates for a square picture, parameters) of the network of that scale, without building it."""
    first, side = rounded(32 * scale.width), _less(scale.side, scale.halvings[0])
    parts = [_convolution(channels, first, 3, side)]
    for inputs, made, expansion, kernel, stride in (block for stage in scale.blocks() for block in stage):
        wide, squeezed = rounded(inputs * expansion), max(1, inputs // 4)
        if wide != inputs:
            parts.append(_convolution(inputs, wide, 1, side))
        side = _less(side, stride)
        excited = 2 * wide * squeezed
        parts += [_convolution(1, wide, kernel, side), (excited, excited + wide + squeezed)]
        parts.append(_convolution(wide, made, 1, side))
    last = 4 * made
    parts += [_convolution(made, last, 1, side), (last * outputs, last * outputs + outputs)]
    return sum(macs for macs, _ in parts), sum(numbers for _, numbers in parts)


def _less(side: int, stride: int) -> int:
    return -(-side // stride)


def _convolution(inputs: int, outputs: int, kernel: int, side: int) -> tuple[int, int]:
    """Of a convolution with its normalization; inputs: that each output reads, 1 where it is depthwise."""
    weights = inputs * outputs * kernel**2
    return weights * side**2, weights + 2 * outputs


def under(budget: int, what: str, side: int, channels: int, outputs: int) -> Scale:
    """The largest compound scale of at most `budget` "macs" or "parameters" for pictures of `side` pixels.

    Raises TrialFailed where even the smallest has more.
    """
    which = ("macs", "parameters").index(what)

    def fits(phi: float) -> bool:
        return size(compound(phi, side), channels, outputs)[which] <= budget

    if not fits(_LEAST):
        least = size(compound(_LEAST, side), channels, outputs)[which]
        raise TrialFailed(f"no EfficientNet of {budget} {what} for {side} pixels; the smallest has {least}")
    return compound(_largest(fits), side)


def _largest(fits: Callable[[float], bool]) -> float:
    """By bisection, to a fiftieth."""
    low, high = _LEAST, _MOST
    if fits(high):
        return high
    while high - low > 0.02:
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
