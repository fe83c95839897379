"""ShuffleNet v2. Layers are named as in its authors' code and the checkpoints that descend from it."""

from __future__ import annotations

import torch
from torch import nn

from trimwatt.framework.torch.convolutions import rounded, start_, strides

# channels of the three stages and of the last convolution: table 5 of the paper
PUBLISHED = {
    0.5: (48, 96, 192, 1024), 1.0: (116, 232, 464, 1024), 1.5: (176, 352, 704, 1024), 2.0: (244, 488, 976, 2048),
}  # fmt: skip
_BLOCKS = (4, 8, 4)


class Shuffled(nn.Module):
    """Every other channel passes as it is, the rest through three convolutions; where the block halves, all do.

    The split into even and odd channels is the shuffle: what two branches made is mixed in the next block.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, splits: bool) -> None:
        super().__init__()
        half, taken = outputs // 2, inputs // 2 if splits else inputs
        self.branch_main = nn.Sequential(
            *_pointwise(taken, half), nn.ReLU(),
            *_depthwise(half, stride), *_pointwise(half, half), nn.ReLU(),
        )  # fmt: skip
        self.branch_proj = (
            None if splits else nn.Sequential(*_depthwise(inputs, stride), *_pointwise(inputs, half), nn.ReLU())
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.branch_proj is None:
            return torch.cat([x[:, 0::2], self.branch_main(x[:, 1::2])], 1)
        return torch.cat([self.branch_proj(x), self.branch_main(x)], 1)


class Backbone(nn.Module):
    """Pictures `(n, channels, h, w)` to `(n, stages[-1], h', w')`; stages: channels of the three stages."""

    def __init__(self, channels: int, stages: tuple[int, ...], side: int = 224, first: int = 24) -> None:
        super().__init__()
        halve = strides(side)
        convolution = nn.Conv2d(channels, first, 3, halve[0], 1, bias=False)
        self.first_conv = nn.Sequential(convolution, nn.BatchNorm2d(first), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1) if halve[1] == 2 else nn.Identity()
        self.stage2 = _stage(first, stages[0], _BLOCKS[0], halve[2])
        self.stage3 = _stage(stages[0], stages[1], _BLOCKS[1], halve[3])
        self.stage4 = _stage(stages[1], stages[2], _BLOCKS[2], halve[4])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.stage4(self.stage3(self.stage2(self.maxpool(self.first_conv(x)))))
        return made


class ShuffleNetV2(Backbone):
    """Pictures `(n, channels, h, w)` of about `side` pixels to logits `(n, outputs)`.

    Ma et al. 2018, arXiv:1807.11164, table 5. width: 0.5, 1, 1.5 and 2 are the published ones, others in proportion.
    """

    def __init__(self, channels: int = 3, outputs: int = 1000, width: float = 1.0, side: int = 224) -> None:
        *stages, last = PUBLISHED.get(width) or (*(rounded(number * width, 4) for number in PUBLISHED[1.0][:3]), 1024)
        super().__init__(channels, tuple(stages), side)
        self.conv_last = nn.Sequential(*_pointwise(stages[-1], last), nn.ReLU())
        self.globalpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(last, outputs)
        start_(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.classifier(self.globalpool(self.conv_last(super().forward(x))).flatten(1))
        return answer


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    rest = [Shuffled(outputs, outputs, 1, splits=True) for _ in range(blocks - 1)]
    return nn.Sequential(Shuffled(inputs, outputs, stride, splits=False), *rest)


def _pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels)]
