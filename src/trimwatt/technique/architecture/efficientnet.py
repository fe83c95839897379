"""EfficientNets: one network scaled in depth, width and resolution together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trimwatt.errors import InputError
from trimwatt.technique._base import Maturity, Stage, Technique, applies_to
from trimwatt.technique.architecture._build import image, untrained
from trimwatt.technique.architecture._published import LEAST, named
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn

VERSIONS = tuple(f"b{number}" for number in range(8))


@dataclass(frozen=True)
class EfficientNet(Technique):
    """Build an untrained EfficientNet, scaled as published or to the largest that a budget allows.

    version: "b0" to "b7", depth and width as published for pictures as stored. macs, parameters: instead, a budget of
    multiply-accumulates a picture or of parameters, of which at most one: depth, width and, downwards, resolution
    follow from it by the paper's compound coefficient. resolution: pixels of the shorter side to which the network
    first shrinks the picture, None as stored (under a budget: what follows from it).
    """

    name: ClassVar[str] = "efficientnet"
    maturity: ClassVar[Maturity] = "experimental"
    family: ClassVar[str] = "network"
    group: ClassVar[str] = "architecture"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "Tan and Le 2019, arXiv:1905.11946"
    gives: ClassVar[str | None] = "torch"
    untrained: ClassVar[bool] = True
    books: ClassVar[str] = "prepare"

    version: str = "b0"
    macs: int | None = None
    parameters: int | None = None
    resolution: int | None = None

    def suits(self, workload: Workload) -> str:
        return "" if workload.rows.kind == "image" else "rows are no pictures"

    def __post_init__(self) -> None:
        named(self.version, "version", VERSIONS)
        budgets = [(name, getattr(self, name)) for name in ("macs", "parameters")]
        told = [(name, value) for name, value in budgets if value is not None]
        for name, value in told:
            if value < 1:
                raise InputError(f"{name} is a number above zero, got {value}")
        if len(told) + (self.version != "b0") + bool(told and self.resolution) > 1:
            raise InputError("an EfficientNet has a version, or a budget of macs or of parameters; say one of them")
        if self.resolution is not None and self.resolution < LEAST:
            raise InputError(f"resolution is pixels from {LEAST} a side, got {self.resolution}")


@applies_to(EfficientNet, "none", "torch", "sklearn", "onnx")
def _efficientnet(technique: EfficientNet, workload: Workload) -> Workload:
    image(workload, technique.name, LEAST)

    def make(shape: tuple[int, ...], outputs: int) -> nn.Module:
        from dataclasses import replace

        from trimwatt.framework.torch import efficientnet
        from trimwatt.framework.torch.convolutions import resized

        stored = (shape[1], shape[2])
        side = min(stored)
        if technique.resolution is not None and technique.resolution > side:
            raise InputError(f"resolution {technique.resolution} is above the {side} pixels stored")
        if technique.macs is not None:
            # counted for a square picture of the shorter side
            squares = technique.macs * min(stored) // max(stored)
            scale = efficientnet.under(squares, "macs", side, shape[0], outputs)
        elif technique.parameters is not None:
            scale = efficientnet.under(technique.parameters, "parameters", side, shape[0], outputs)
        else:
            scale = replace(efficientnet.PUBLISHED[technique.version], side=technique.resolution or side, stored=side)
        return resized(efficientnet.EfficientNet(scale, shape[0], outputs), stored, scale.side)

    return untrained(workload, "nchw", make)
