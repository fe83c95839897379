"""ShuffleNet: channels that pass untouched, and a shuffle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trimwatt.technique._base import applies_to
from trimwatt.technique.architecture._published import Published, published
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ShuffleNetV2(Published):
    """Build an untrained ShuffleNet v2, half of whose channels pass each block untouched.

    width, resolution: see `Published`; 0.5, 1, 1.5 and 2 have the published channels, other widths in proportion.
    """

    name: ClassVar[str] = "shufflenet-v2"
    reference: ClassVar[str] = "Ma et al. 2018, arXiv:1807.11164"


@applies_to(ShuffleNetV2, "none", "torch", "sklearn", "onnx")
def _shufflenet(technique: ShuffleNetV2, workload: Workload) -> Workload:
    def make(channels: int, outputs: int, side: int) -> nn.Module:
        from trimwatt.framework.torch import shufflenet

        return shufflenet.ShuffleNetV2(channels, outputs, technique.width, side)

    return published(technique, workload, make)
