"""SqueezeNet 1.1. Layers are named as in torchvision."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from trimwatt.framework.torch.convolutions import rounded, start_, strides

# squeezed and expanded channels of each fire module; None: the picture is halved
_ROWS: tuple[tuple[int, int] | None, ...] = (
    None, (16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256),
)  # fmt: skip


class Fire(nn.Module):
    """Few channels by 1x1, then many: half of them by 1x1, half by 3x3."""

    def __init__(self, inputs: int, squeezed: int, expanded: int, normalized: bool) -> None:
        super().__init__()
        self.squeeze = _convolution(inputs, squeezed, 1, normalized)
        self.expand1x1 = _convolution(squeezed, expanded, 1, normalized)
        self.expand3x3 = _convolution(squeezed, expanded, 3, normalized)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.squeeze(x))
        return torch.cat([functional.relu(self.expand1x1(x)), functional.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    """Pictures `(n, channels, h, w)` of about `side` pixels to logits `(n, outputs)`; width scales all channels.

    Iandola et al. 2016, arXiv:1602.07360, in version 1.1 of its authors. normalized: batch normalization behind each
    convolution, which the published network has not; it trains in fewer epochs so, and exports as none. The published
    one also cuts its logits off at zero, which can leave few classes without a gradient; here they are as they come.
    """

    def __init__(
        self, channels: int = 3, outputs: int = 1000, width: float = 1.0, side: int = 224, normalized: bool = False
    ) -> None:
        super().__init__()
        halve, inputs, place = strides(side, 4), rounded(64 * width), 1
        layers: list[nn.Module] = [_convolution(channels, inputs, 3, normalized, halve[0]), nn.ReLU()]
        for row in _ROWS:
            if row is None:
                # where the picture is kept, nothing stands in the pool's place but its number
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True) if halve[place] == 2 else nn.Identity())
                place += 1
                continue
            squeezed, expanded = (rounded(number * width) for number in row)
            layers.append(Fire(inputs, squeezed, expanded, normalized))
            inputs = 2 * expanded
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(inputs, outputs, 1), nn.AdaptiveAvgPool2d(1))
        start_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.classifier(self.features(x))
        return answer.flatten(1)


def _convolution(inputs: int, outputs: int, kernel: int, normalized: bool, stride: int | None = None) -> nn.Module:
    """stride: of the first convolution, which alone has no border."""
    border = kernel // 2 if stride is None else 0
    layer = nn.Conv2d(inputs, outputs, kernel, stride or 1, border, bias=not normalized)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs)) if normalized else layer
