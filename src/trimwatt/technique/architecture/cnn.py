"""A small convolutional network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trimwatt.errors import InputError
from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.technique.architecture._build import image, untrained
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SmallCnn(Technique):
    """Build an untrained network of three 3x3 convolutions, the picture halved before the last two.

    width: channels of the first convolution; the others have twice and four times as many.
    """

    name: ClassVar[str] = "small-cnn"
    family: ClassVar[str] = "network"
    group: ClassVar[str] = "architecture"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "LeCun et al. 1998, doi:10.1109/5.726791"
    gives: ClassVar[str | None] = "torch"
    untrained: ClassVar[bool] = True
    books: ClassVar[str] = "prepare"

    width: int = 16

    def suits(self, workload: Workload) -> str:
        return "" if workload.rows.kind == "image" else "rows are no pictures"

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"width is a number of channels from 1, got {self.width}")


@applies_to(SmallCnn, "none", "torch", "sklearn", "onnx")
def _cnn(technique: SmallCnn, workload: Workload) -> Workload:
    image(workload, technique.name, 8)

    def make(shape: tuple[int, ...], outputs: int) -> nn.Module:
        from torch import nn

        width, layers, inputs = technique.width, [], shape[0]
        # a larger picture is halved before the first convolution sees it too
        for place, channels in enumerate((width, 2 * width, 4 * width)):
            stride = 2 if place or max(shape[1:]) > 48 else 1
            layers += [nn.Conv2d(inputs, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
            inputs = channels
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, outputs))

    return untrained(workload, "nchw", make)
