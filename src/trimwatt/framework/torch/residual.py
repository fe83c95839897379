"""Our own definition of a small residual network. A file of its own, so that its objects travel between processes."""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut; the shortcut is a 1x1 convolution where size or channels change."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, 3, stride)
        self.second = _convolution(outputs, outputs, 3, 1)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else _convolution(inputs, outputs, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.second(self.relu(self.first(x)))
        added: torch.Tensor = self.relu(y + self.shortcut(x))
        return added


class ResNet(nn.Sequential):
    """Images `(n, channels, h, w)` to `(n, outputs)`.

    width: channels of the first of three stages. blocks: residual blocks a stage. halvings: how often the stem
    halves the picture.
    """

    def __init__(self, channels: int, outputs: int, width: int, blocks: int, halvings: int) -> None:
        stem: list[nn.Module] = [_convolution(channels, width, 3, 2 if halvings else 1), nn.ReLU()]
        stem += [nn.MaxPool2d(2) for _ in range(halvings - 1)]
        stages: list[nn.Module] = []
        inputs = width
        for stage in range(3):
            for block in range(blocks):
                stages.append(Residual(inputs, width * 2**stage, 2 if stage and not block else 1))
                inputs = width * 2**stage
        super().__init__(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, outputs))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs))
