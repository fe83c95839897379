"""What all sparse training shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique.train._plan import Training
from trimwatt.workload import Workload

if TYPE_CHECKING:
    import torch
    from torch import nn

    from trimwatt.framework.torch.groups import Group


@dataclass(frozen=True)
class SparseTraining(Training):
    """Train further under a pull to zero; the last epoch is kept, not the best, which might be the start.

    share: of the weights, channels or inputs that go, in (0, 1). After 0.7 of training what is to go is settled, and
    what stays recovers. The other parameters are as in `train`.
    """

    family: ClassVar[str] = "sparse training"
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})
    group: ClassVar[str] = "sparse"
    books: ClassVar[str] = "train"

    epochs: int = 6
    learning_rate: float = 1e-3
    patience: int | None = None
    weight_decay: float = 1e-4
    share: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share < 1:
            hint = f"; did you mean {self.share / 100:g}?" if 1 < self.share < 100 else ""
            raise InputError(f"share is in (0, 1), got {self.share:g}{hint}")


@dataclass(frozen=True)
class Lasso(SparseTraining):
    """strength: of the pull to zero, from 0; what it has not taken there in time goes by its size."""

    strength: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength < 0:
            raise InputError(f"strength is a number from 0, got {self.strength:g}")


@dataclass(frozen=True)
class ChannelTraining(SparseTraining):
    """Take channels and neurons to zero and remove them. round_to: what stays of a layer is a multiple of this."""

    shrinks: ClassVar[frozenset[str]] = frozenset({"parameters", "macs", "bytes"})

    scope: str = "inner"
    round_to: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scope not in ("inner", "all"):
            raise InputError(f"scope is inner or all, got {self.scope!r}")
        if self.round_to < 1:
            raise InputError(f"round_to is a number of channels from 1, got {self.round_to}")

    def variants(self, workload: Workload) -> Sequence[SparseTraining]:
        """A bolder share."""
        return [replace(self, share=0.7)] if self.share < 0.7 else []


def steps(technique: Training, workload: Workload) -> int:
    """Steps of the whole training."""
    return technique.epochs * math.ceil(len(workload.rows.holdout(workload.seed)[0]) / technique.batch)


def groups(technique: ChannelTraining, workload: Workload) -> list[Group]:
    """Groups of channels that may go; raises TrialFailed where there are none."""
    from trimwatt.framework.torch import groups as found
    from trimwatt.framework.torch.run import evaluated, example

    all_of_them = found.groups(evaluated(workload.model), example(workload), technique.scope)
    # without a layer that reads it, a channel at zero would still say something
    chosen = [group for group in all_of_them if group.of("in")]
    if not chosen:
        raise TrialFailed(f"{technique.name} found no channels or neurons that could be removed by themselves")
    return chosen


def removed(
    technique: ChannelTraining, workload: Workload, module: nn.Module, found: list[Group], kept: list[torch.Tensor]
) -> Workload:
    """The workload with a module that lacks all channels but `kept` of each group."""
    from trimwatt.framework.torch.groups import without
    from trimwatt.framework.torch.run import example

    gone: dict[str, Any] = {g.layer: (~stay).nonzero()[:, 0].tolist() for g, stay in zip(found, kept, strict=True)}
    less = without(module, example(workload), technique.scope, lambda group: gone.get(group.layer, []))
    return replace(workload, model=less)
