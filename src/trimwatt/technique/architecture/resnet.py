"""A small residual network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trimwatt.errors import InputError
from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.technique.architecture._build import image, untrained
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SmallResNet(Technique):
    """Build an untrained residual network of three stages, as for CIFAR; larger images are shrunk by its stem.

    width: channels of the first stage; the others have twice and four times as many. blocks: residual blocks a
    stage, two 3x3 convolutions each.
    """

    name: ClassVar[str] = "small-resnet"
    family: ClassVar[str] = "network"
    group: ClassVar[str] = "architecture"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "He et al. 2016, arXiv:1512.03385"
    gives: ClassVar[str | None] = "torch"
    untrained: ClassVar[bool] = True
    books: ClassVar[str] = "prepare"

    width: int = 16
    blocks: int = 1

    def suits(self, workload: Workload) -> str:
        return "" if workload.rows.kind == "image" else "rows are no pictures"

    def __post_init__(self) -> None:
        for name in ("width", "blocks"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is a whole number from 1, got {getattr(self, name)}")


@applies_to(SmallResNet, "none", "torch", "sklearn", "onnx")
def _resnet(technique: SmallResNet, workload: Workload) -> Workload:
    image(workload, technique.name, 8)

    def make(shape: tuple[int, ...], outputs: int) -> nn.Module:
        from trimwatt.framework.torch.residual import ResNet

        # 28 to 47 pixels keep their size, 48 to 95 are halved, 96 to 191 quartered
        halvings = max(0, math.floor(math.log2(max(shape[1:]) / 24)))
        return ResNet(shape[0], outputs, technique.width, technique.blocks, halvings)

    return untrained(workload, "nchw", make)
