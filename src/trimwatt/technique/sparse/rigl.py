"""Few weights that move about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Maturity, applies_to
from trimwatt.technique.sparse._plan import SparseTraining
from trimwatt.workload import Workload


@dataclass(frozen=True)
class RigL(SparseTraining):
    """Train with a fixed share of weights at zero; the smallest of the others change places with those most wanted.

    Small layers are left denser than large ones. every: steps between exchanges; fraction: of a layer's weights that
    the first of them moves. Zeros save neither time nor bytes by themselves, see `l1`.
    """

    name: ClassVar[str] = "rigl"
    maturity: ClassVar[Maturity] = "experimental"
    reference: ClassVar[str] = "Evci et al. 2020, arXiv:1911.11134; Mocanu et al. 2018, arXiv:1707.04780"

    share: float = 0.9
    every: int = 20
    fraction: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every < 1:
            raise InputError(f"every is a number of steps from 1, got {self.every}")
        if not 0 <= self.fraction <= 1:
            raise InputError(f"fraction is in [0, 1], got {self.fraction:g}")


@applies_to(RigL, "torch")
def _rigl(technique: RigL, workload: Workload) -> Workload:
    require("torch", "torch", "Sparse training")
    from trimwatt.framework.torch import Hooks, fit, masks
    from trimwatt.framework.torch.gates_rewired import Rewired

    if not masks.layers(workload.model):
        raise TrialFailed("rigl found no convolution or dense layer whose weights could go to zero")
    wires = Rewired(1 - technique.share, technique.every, technique.fraction)
    hooks = Hooks(prepare=wires.prepare, after_step=wires.after_step, keep_last=True)
    module = fit(workload, technique, hooks=hooks)
    wires.hold(module)
    return replace(workload, model=module)
