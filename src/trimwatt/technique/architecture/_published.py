"""What the published image networks share: scaled widths, smaller pictures, a start that suits the picture's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trimwatt.errors import InputError
from trimwatt.technique._base import Maturity, Stage, Technique
from trimwatt.technique.architecture._build import image, untrained
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn

LEAST = 8
Make = Callable[[int, int, int], "nn.Module"]


@dataclass(frozen=True)
class Published(Technique):
    """An untrained network as published, for pictures from 8 pixels a side; small ones are halved less often.

    width: factor of all channels, in (0, 4]. resolution: pixels of the shorter side to which the network first shrinks
    the picture, None as stored.
    """

    family: ClassVar[str] = "network"
    maturity: ClassVar[Maturity] = "experimental"
    gives: ClassVar[str | None] = "torch"
    untrained: ClassVar[bool] = True
    group: ClassVar[str] = "architecture"
    stage: ClassVar[Stage] = "model"
    books: ClassVar[str] = "prepare"

    width: float = 1.0
    resolution: int | None = None

    def suits(self, workload: Workload) -> str:
        return "" if workload.rows.kind == "image" else "rows are no pictures"

    def __post_init__(self) -> None:
        if not 0 < self.width <= 4:
            raise InputError(f"width is a factor of the published channels, in (0, 4], got {self.width:g}")
        if self.resolution is not None and self.resolution < LEAST:
            raise InputError(f"resolution is pixels from {LEAST} a side, got {self.resolution}")


def named(value: str | int, what: str, known: tuple[str | int, ...]) -> None:
    """Refuse a version that nobody published."""
    if value not in known:
        raise InputError(f"{what} is one of {', '.join(map(str, known))}, got {value!r}")


def published(technique: Published, workload: Workload, make: Make) -> Workload:
    """The workload with the untrained network make(channels, outputs, side); see `untrained`."""
    image(workload, technique.name, LEAST)

    def network(shape: tuple[int, ...], outputs: int) -> nn.Module:
        from trimwatt.framework.torch.convolutions import resized

        stored = (shape[1], shape[2])
        side = technique.resolution or min(stored)
        if side > min(stored):
            raise InputError(
                f"resolution {side} is above the {min(stored)} pixels stored; larger pictures tell nothing more"
            )
        # a picture made smaller is halved as it was, so that it costs less, but not to a single pixel
        return resized(make(shape[0], outputs, min(*stored, 2 * side)), stored, side)

    return untrained(workload, "nchw", network)
