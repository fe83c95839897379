"""Training on from what a network knows already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.technique._base import Stage, applies_to
from trimwatt.technique.train._plan import Training
from trimwatt.workload import Workload


@dataclass(frozen=True)
class FineTune(Training):
    """Train a network further, as after pruning: few epochs; what held-out rows liked best is kept, even the start."""

    name: ClassVar[str] = "finetune"
    family: ClassVar[str] = "training"
    group: ClassVar[str] = "train"
    stage: ClassVar[Stage] = "train"
    reference: ClassVar[str] = "Han et al. 2015, arXiv:1506.02626"
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})
    books: ClassVar[str] = "train"

    epochs: int = 2
    learning_rate: float = 1e-3
    patience: int | None = None
    weight_decay: float = 1e-4


@applies_to(FineTune, "torch")
def _finetune(technique: FineTune, workload: Workload) -> Workload:
    require("torch", "torch", "Training")
    from trimwatt.framework.torch import fit

    return replace(workload, model=fit(workload, technique))
