"""ResNets as published: 18 and 34 for ImageNet, 20 to 110 for CIFAR. Layers named as in their usual checkpoints."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from trimwatt.framework.torch.convolutions import start_, strides

# blocks of each stage
IMAGENET = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
CIFAR = {20: 3, 32: 5, 44: 7, 56: 9, 110: 18}


class Padded(nn.Module):
    """A shortcut without weights: every other pixel, new channels filled with zeros (option A of the paper)."""

    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self.before, self.behind, self.stride = added // 2, added - added // 2, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.behind))


class Basic(nn.Module):
    """Two 3x3 convolutions around a shortcut; `projects`: the shortcut is a 1x1 convolution where shapes change."""

    def __init__(self, inputs: int, outputs: int, stride: int, projects: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if projects and (stride > 1 or inputs != outputs):
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )  # fmt: skip
        elif stride > 1 or inputs != outputs:
            self.downsample = Padded(outputs - inputs, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class ImageResNet(nn.Module):
    """Pictures `(n, channels, h, w)` of about `side` pixels to logits `(n, outputs)`; depth: 18 or 34.

    He et al. 2016, arXiv:1512.03385, table 1. Below about 48 pixels the first convolution is 3x3 and nothing is pooled.
    """

    def __init__(
        self, depth: int = 18, channels: int = 3, outputs: int = 1000, width: float = 1.0, side: int = 224
    ) -> None:
        super().__init__()
        halve, first = strides(side), max(1, round(64 * width))
        blocks = IMAGENET[depth]
        kernel = 7 if halve[0] == 2 else 3
        self.conv1 = nn.Conv2d(channels, first, kernel, halve[0], kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if halve[1] == 2 else nn.Identity()
        self.layer1 = _stage(first, first, blocks[0], 1, projects=True)
        self.layer2 = _stage(first, 2 * first, blocks[1], halve[2], projects=True)
        self.layer3 = _stage(2 * first, 4 * first, blocks[2], halve[3], projects=True)
        self.layer4 = _stage(4 * first, 8 * first, blocks[3], halve[4], projects=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * first, outputs)
        start_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        answer: torch.Tensor = self.fc(self.avgpool(x).flatten(1))
        return answer


class CifarResNet(nn.Module):
    """Pictures `(n, channels, h, w)` of about 32 pixels to logits `(n, outputs)`; depth: 20, 32, 44, 56 or 110.

    He et al. 2016, arXiv:1512.03385, section 4.2: three stages, shortcuts without weights. Larger pictures are halved
    by the first convolution as well.
    """

    def __init__(
        self, depth: int = 20, channels: int = 3, outputs: int = 10, width: float = 1.0, side: int = 32
    ) -> None:
        super().__init__()
        first, blocks = max(1, round(16 * width)), CIFAR[depth]
        halve = strides(side, 3)
        self.conv1 = nn.Conv2d(channels, first, 3, halve[0] if side >= 48 else 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.layer1 = _stage(first, first, blocks, 1, projects=False)
        self.layer2 = _stage(first, 2 * first, blocks, halve[1], projects=False)
        self.layer3 = _stage(2 * first, 4 * first, blocks, halve[2], projects=False)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(4 * first, outputs)
        start_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        answer: torch.Tensor = self.linear(self.avgpool(x).flatten(1))
        return answer


def _stage(inputs: int, outputs: int, blocks: int, stride: int, projects: bool) -> nn.Sequential:
    rest = [Basic(outputs, outputs, 1, projects) for _ in range(blocks - 1)]
    return nn.Sequential(Basic(inputs, outputs, stride, projects), *rest)
