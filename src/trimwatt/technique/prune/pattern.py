"""Zeros in a pattern: at most n of every m neighbouring weights stay."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Maturity, applies_to
from trimwatt.technique.prune import _zeros
from trimwatt.technique.prune.magnitude import zeroed, zeroed_onnx
from trimwatt.technique.train._plan import Training
from trimwatt.workload import Array, Workload


@dataclass(frozen=True)
class PrunePattern(Training):
    """Keep n of every m weights that one output reads side by side; on CPUs this saves neither time nor bytes.

    The pattern (2 of 4) is that of GPUs with sparse matrix units; elsewhere dense kernels multiply the zeros, so
    nothing is promised. Layers whose inputs are no multiple of m are left alone. n, m: 1 <= n < m. epochs: of training
    with the zeros held, 0 for none; PyTorch only, the rest of how to train is as in `train`.
    """

    name: ClassVar[str] = "prune-pattern"
    maturity: ClassVar[Maturity] = "experimental"
    family: ClassVar[str] = "pruning"
    group: ClassVar[str] = "prune"
    reference: ClassVar[str] = "Mishra et al. 2021, arXiv:2104.08378; Zhou et al. 2021, arXiv:2102.04010"
    needs: ClassVar[frozenset[str]] = frozenset({"torch", "onnx"})

    epochs: int = 0
    learning_rate: float = 1e-3
    patience: int | None = None
    weight_decay: float = 1e-4
    n: int = 2
    m: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.n < self.m:
            raise InputError(f"n of m are whole numbers with 1 <= n < m, got {self.n} of {self.m}")

    def masks(self, weights: dict[str, Array], axes: dict[str, int]) -> dict[str, Array]:
        """Masks (True stays) for the layers that the pattern fits; raises TrialFailed where it fits none."""
        found = {name: _zeros.n_of_m(abs(weight), self.n, self.m, axes[name]) for name, weight in weights.items()}
        left = sorted(name for name, mask in found.items() if mask is None)
        if len(left) == len(found):
            raise TrialFailed(f"no layer has inputs in a multiple of {self.m}, as {self.n} of {self.m} needs")
        if left:
            logging.getLogger("trimwatt").info("%s leaves %s alone", self.name, ", ".join(left))
        return {name: mask for name, mask in found.items() if mask is not None}


@applies_to(PrunePattern, "torch")
def _torch(technique: PrunePattern, workload: Workload) -> Workload:
    require("torch", "torch", "Pruning")
    from trimwatt.framework.torch.masks import input_axes

    axes = input_axes(workload.model)
    return zeroed(technique, workload, lambda weights, _: technique.masks(weights, axes), 1, 1)


@applies_to(PrunePattern, "onnx")
def _onnx(technique: PrunePattern, workload: Workload) -> Workload:
    return zeroed_onnx(technique, workload, technique.masks)
