"""Training from scratch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.technique._base import Stage, applies_to
from trimwatt.technique.train._plan import Training
from trimwatt.workload import Workload


@dataclass(frozen=True)
class Train(Training):
    """Train a network that comes untrained. Regression targets are standardised while it learns."""

    name: ClassVar[str] = "train"
    family: ClassVar[str] = "training"
    group: ClassVar[str] = "train"
    stage: ClassVar[Stage] = "train"
    reference: ClassVar[str] = "Loshchilov and Hutter 2019, arXiv:1711.05101"
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})
    books: ClassVar[str] = "train"


@applies_to(Train, "torch")
def _train(technique: Train, workload: Workload) -> Workload:
    require("torch", "torch", "Training")
    from trimwatt.framework.torch import fit

    return replace(workload, model=fit(workload, technique, from_scratch=True))
