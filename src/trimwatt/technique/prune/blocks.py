"""Whole residual blocks removed: fewer layers, where a small network spends its time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Technique, applies_to
from trimwatt.workload import Array, Workload

if TYPE_CHECKING:
    import torch
    from torch import nn

JUDGED_ROWS, RECALIBRATION_ROWS = 128, 1000


@dataclass(frozen=True)
class PruneBlocks(Technique):
    """Remove the residual blocks without which the network's answers to training rows change least.

    Blocks are taken one at a time, each time the one whose loss is smallest now. A block that changes the size or the
    channels is never taken. Fine-tuning usually follows.
    share: of the blocks that can be removed, in (0, 1]; at least one is. recalibrate: estimate batch normalization
    anew on training rows.
    """

    name: ClassVar[str] = "prune-blocks"
    family: ClassVar[str] = "pruning"
    group: ClassVar[str] = "prune"
    shrinks: ClassVar[frozenset[str]] = frozenset({"parameters", "macs", "bytes"})
    reference: ClassVar[str] = "Veit et al. 2016, arXiv:1605.06431"
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})

    share: float = 0.4
    recalibrate: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            hint = f"; did you mean {self.share / 100:g}?" if 1 < self.share <= 100 else ""
            raise InputError(f"share is in (0, 1], got {self.share:g}{hint}")


@applies_to(PruneBlocks, "torch")
def _prune(technique: PruneBlocks, workload: Workload) -> Workload:
    require("torch", "torch", "Pruning")
    from trimwatt.framework.torch.blocks import residual_blocks, without
    from trimwatt.framework.torch.copying import copied
    from trimwatt.framework.torch.recalibrate import recalibrate_
    from trimwatt.framework.torch.run import example, sample, threads
    from trimwatt.framework.torch.size import team

    whole = copied(workload.model).eval()
    names = residual_blocks(whole, example(workload))
    if not names:
        raise TrialFailed("the network has no residual block that keeps its shape, so none can be removed")
    with threads(team(workload, JUDGED_ROWS)):
        rows = sample(workload, JUDGED_ROWS)
        module = without(whole, _least(whole, names, max(1, round(technique.share * len(names))), rows), rows[:2])
        if module is not None and technique.recalibrate:
            recalibrate_(module, sample(workload, RECALIBRATION_ROWS))
    return replace(workload, model=module)


def _least(module: nn.Module, names: list[str], number: int, rows: torch.Tensor) -> list[str]:
    """The `number` blocks whose removal moves the answers least, found one by one."""
    from trimwatt.framework.torch.run import forward

    whole, chosen = forward(module, rows), list[str]()
    while len(chosen) < number:
        moved = {name: _moved(module, [*chosen, name], rows, whole) for name in names if name not in chosen}
        best = min(moved, key=lambda name: moved[name])
        if not math.isfinite(moved[best]):
            raise TrialFailed(f"the network does not run without {len(chosen) + 1} of its {len(names)} residual blocks")
        chosen.append(best)
    return chosen


def _moved(module: nn.Module, names: list[str], rows: torch.Tensor, whole: Array) -> float:
    """Mean squared change of the answers without the blocks `names`; infinite where it does not run."""
    from trimwatt.framework.torch.blocks import without
    from trimwatt.framework.torch.run import forward

    less = without(module, names, rows[:2])
    return math.inf if less is None else float(np.mean((forward(less, rows) - whole) ** 2))
