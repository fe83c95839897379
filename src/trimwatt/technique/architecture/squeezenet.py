"""SqueezeNet: few channels between many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trimwatt.technique._base import applies_to
from trimwatt.technique.architecture._published import Published, published
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SqueezeNet(Published):
    """Build an untrained SqueezeNet 1.1, fire modules that squeeze channels before each 3x3 convolution.

    width, resolution: see `Published`. normalized: batch normalization behind each convolution, folded away when
    deployed; the published network has none and trains slowly.
    """

    name: ClassVar[str] = "squeezenet"
    reference: ClassVar[str] = "Iandola et al. 2016, arXiv:1602.07360"

    normalized: bool = True


@applies_to(SqueezeNet, "none", "torch", "sklearn", "onnx")
def _squeezenet(technique: SqueezeNet, workload: Workload) -> Workload:
    def make(channels: int, outputs: int, side: int) -> nn.Module:
        from trimwatt.framework.torch import squeezenet

        return squeezenet.SqueezeNet(channels, outputs, technique.width, side, technique.normalized)

    return published(technique, workload, make)
