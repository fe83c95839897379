"""MobileNet v1 and v2: pictures through depthwise and 1x1 convolutions. Layers are named as in torchvision's v2."""

from __future__ import annotations

import torch
from torch import nn

from trimwatt.framework.torch.convolutions import ConvNorm, rounded, start_, strides

# outputs of each pair of a depthwise and a 1x1 convolution, and at which of the five halvings it stands
_V1 = (
    (64, None), (128, 1), (128, None), (256, 2), (256, None), (512, 3), *((512, None),) * 5, (1024, 4), (1024, None),
)  # fmt: skip
# expansion, outputs, blocks, halving: table 2 of the paper
_V2 = (
    (1, 16, 1, None), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 3), (6, 96, 3, None), (6, 160, 3, 4), (6, 320, 1, None),
)  # fmt: skip


class MobileNetV1(nn.Module):
    """Pictures `(n, channels, h, w)` of about `side` pixels to logits `(n, outputs)`; width scales all channels.

    Howard et al. 2017, arXiv:1704.04861, table 1.
    """

    def __init__(self, channels: int = 3, outputs: int = 1000, width: float = 1.0, side: int = 224) -> None:
        super().__init__()
        halve = strides(side)
        inputs = rounded(32 * width)
        layers: list[nn.Module] = [ConvNorm(channels, inputs, 3, halve[0])]
        for wanted, place in _V1:
            made = rounded(wanted * width)
            stride = 1 if place is None else halve[place]
            layers += [ConvNorm(inputs, inputs, 3, stride, inputs), ConvNorm(inputs, made, 1)]
            inputs = made
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.001), nn.Linear(inputs, outputs))
        start_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.classifier(self.pool(self.features(x)).flatten(1))
        return answer


class InvertedResidual(nn.Module):
    """Widened by 1x1, filtered by depthwise 3x3, narrowed by a linear 1x1, added to what came where shapes agree."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.added = stride == 1 and inputs == outputs
        widen = [ConvNorm(inputs, wide, 1, activation=nn.ReLU6)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *widen, ConvNorm(wide, wide, 3, stride, wide, nn.ReLU6),
            nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        return x + y if self.added else y


class MobileNetV2(nn.Module):
    """Pictures `(n, channels, h, w)` of about `side` pixels to logits `(n, outputs)`; width scales all channels.

    Sandler et al. 2018, arXiv:1801.04381, table 2. The last convolution keeps its 1280 channels for widths below 1.
    """

    def __init__(self, channels: int = 3, outputs: int = 1000, width: float = 1.0, side: int = 224) -> None:
        super().__init__()
        halve = strides(side)
        inputs = rounded(32 * width)
        layers: list[nn.Module] = [ConvNorm(channels, inputs, 3, halve[0], activation=nn.ReLU6)]
        for expansion, wanted, blocks, place in _V2:
            made = rounded(wanted * width)
            for block in range(blocks):
                stride = halve[place] if place is not None and block == 0 else 1
                layers.append(InvertedResidual(inputs, made, expansion, stride))
                inputs = made
        last = rounded(1280 * max(1.0, width))
        self.features = nn.Sequential(*layers, ConvNorm(inputs, last, 1, activation=nn.ReLU6))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, outputs))
        start_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.classifier(self.pool(self.features(x)).flatten(1))
        return answer
