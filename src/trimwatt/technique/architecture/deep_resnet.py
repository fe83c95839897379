"""ResNets as published, the usual baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trimwatt.technique._base import Maturity, applies_to
from trimwatt.technique.architecture._published import Published, named, published
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn

_IMAGENET, _CIFAR = (18, 34), (20, 32, 44, 56, 110)


@dataclass(frozen=True)
class DeepResNet(Published):
    """Build an untrained ResNet of a published depth.

    width, resolution: see `Published`. depth: 18 or 34, made for ImageNet; 20, 32, 44, 56 or 110, made for CIFAR,
    with a sixteenth of the channels.
    """

    name: ClassVar[str] = "deep-resnet"
    maturity: ClassVar[Maturity] = "experimental"
    reference: ClassVar[str] = "He et al. 2016, arXiv:1512.03385"

    depth: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        named(self.depth, "depth", (*_IMAGENET, *_CIFAR))


@applies_to(DeepResNet, "none", "torch", "sklearn", "onnx")
def _resnet(technique: DeepResNet, workload: Workload) -> Workload:
    def make(channels: int, outputs: int, side: int) -> nn.Module:
        from trimwatt.framework.torch import resnets

        kind = resnets.ImageResNet if technique.depth in _IMAGENET else resnets.CifarResNet
        return kind(technique.depth, channels, outputs, technique.width, side)

    return published(technique, workload, make)
