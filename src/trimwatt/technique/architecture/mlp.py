"""A dense network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from trimwatt.errors import InputError
from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.technique.architecture._build import untrained
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class TorchMlp(Technique):
    """Build an untrained network of dense layers with ReLU between, on scaled and flattened rows.

    hidden: units of each hidden layer.
    """

    name: ClassVar[str] = "mlp-torch"
    family: ClassVar[str] = "network"
    group: ClassVar[str] = "architecture"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "Rumelhart, Hinton and Williams 1986, doi:10.1038/323533a0"
    gives: ClassVar[str | None] = "torch"
    untrained: ClassVar[bool] = True
    books: ClassVar[str] = "prepare"

    hidden: tuple[int, ...] = (64, 64)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if any(units < 1 for units in self.hidden):
            raise InputError(f"hidden layers have at least one unit each, got {self.hidden}")


@applies_to(TorchMlp, "none", "torch", "sklearn", "onnx")
def _mlp(technique: TorchMlp, workload: Workload) -> Workload:
    def make(shape: tuple[int, ...], outputs: int) -> nn.Module:
        from torch import nn

        widths = [shape[0], *technique.hidden]
        layers: list[nn.Module] = []
        for inputs, units in pairwise(widths):
            layers += [nn.Linear(inputs, units), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))

    return untrained(workload, "scaled", make)
