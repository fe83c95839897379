"""MobileNets: depthwise separable convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trimwatt.technique._base import applies_to
from trimwatt.technique.architecture._published import Published, named, published
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class MobileNetV1(Published):
    """Build an untrained MobileNet v1, a chain of depthwise and 1x1 convolutions.

    width, resolution: see `Published`.
    """

    name: ClassVar[str] = "mobilenet-v1"
    reference: ClassVar[str] = "Howard et al. 2017, arXiv:1704.04861"


@dataclass(frozen=True)
class MobileNetV2(Published):
    """Build an untrained MobileNet v2, inverted residuals with narrow shortcuts.

    width, resolution: see `Published`.
    """

    name: ClassVar[str] = "mobilenet-v2"
    reference: ClassVar[str] = "Sandler et al. 2018, arXiv:1801.04381"


@dataclass(frozen=True)
class MobileNetV3(Published):
    """Build an untrained MobileNet v3, with squeeze and excitation and hard-swish.

    width, resolution: see `Published`. version: "small" or "large".
    """

    name: ClassVar[str] = "mobilenet-v3"
    reference: ClassVar[str] = "Howard et al. 2019, arXiv:1905.02244"

    version: str = "small"

    def __post_init__(self) -> None:
        super().__post_init__()
        named(self.version, "version", ("small", "large"))


@applies_to(MobileNetV1, "none", "torch", "sklearn", "onnx")
def _v1(technique: MobileNetV1, workload: Workload) -> Workload:
    def make(channels: int, outputs: int, side: int) -> nn.Module:
        from trimwatt.framework.torch import mobilenet

        return mobilenet.MobileNetV1(channels, outputs, technique.width, side)

    return published(technique, workload, make)


@applies_to(MobileNetV2, "none", "torch", "sklearn", "onnx")
def _v2(technique: MobileNetV2, workload: Workload) -> Workload:
    def make(channels: int, outputs: int, side: int) -> nn.Module:
        from trimwatt.framework.torch import mobilenet

        return mobilenet.MobileNetV2(channels, outputs, technique.width, side)

    return published(technique, workload, make)


@applies_to(MobileNetV3, "none", "torch", "sklearn", "onnx")
def _v3(technique: MobileNetV3, workload: Workload) -> Workload:
    def make(channels: int, outputs: int, side: int) -> nn.Module:
        from trimwatt.framework.torch import mobilenet_v3

        return mobilenet_v3.MobileNetV3(technique.version, channels, outputs, technique.width, side)

    return published(technique, workload, make)
