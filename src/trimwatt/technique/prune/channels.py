"""Channels and neurons of PyTorch modules removed for good."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Technique, applies_to
from trimwatt.workload import Workload

RECALIBRATION_ROWS = 1000


@dataclass(frozen=True)
class PruneChannels(Technique):
    """Remove channels and neurons with all that hangs on them; what is left is a smaller module, not a mask.

    The layers that give the answer are left alone. Fine-tuning usually follows.
    share: of each layer's channels to remove, in (0, 1). scope: "inner" takes only channels that one layer makes and
    that no shortcut adds to another's, "all" takes residual streams too. importance: "l1" or "l2" (norm of the weights
    of all layers that make or take the channel), "bn" (the scale of its batch normalization), "taylor" or "hessian"
    (first- or second-order change of the loss on training rows). round_to: the channels left are a multiple of this.
    recalibrate: estimate batch normalization anew on training rows.
    """

    name: ClassVar[str] = "prune-channels"
    family: ClassVar[str] = "pruning"
    group: ClassVar[str] = "prune"
    shrinks: ClassVar[frozenset[str]] = frozenset({"parameters", "macs", "bytes"})
    reference: ClassVar[str] = (
        "Li et al. 2017, arXiv:1608.08710; Molchanov et al. 2017, arXiv:1611.06440; "
        "Theis et al. 2018, arXiv:1801.05787; Fang et al. 2023, arXiv:2301.12900"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})

    share: float = 0.5
    scope: str = "inner"
    importance: str = "l1"
    round_to: int = 8
    recalibrate: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            hint = f"; did you mean {self.share / 100:g}?" if 1 < self.share < 100 else ""
            raise InputError(f"share is in (0, 1), got {self.share:g}{hint}")
        for name, known in (("scope", ("inner", "all")), ("importance", ("l1", "l2", "bn", "taylor", "hessian"))):
            if getattr(self, name) not in known:
                raise InputError(f"{name} is {' or '.join(known)}, got {getattr(self, name)!r}")
        if self.round_to < 1:
            raise InputError(f"round_to is a number of channels from 1, got {self.round_to}")

    def kept(self, layer: str, channels: int) -> int:
        """How many of a layer's channels stay: a multiple of round_to; raises TrialFailed for none at all."""
        exact = channels * (1 - self.share)
        if exact < 0.5:
            most = 1 - 1 / channels
            raise TrialFailed(
                f"share {self.share:g} leaves none of {layer}'s {channels} channels; ask at most {most:.2g}"
            )
        return min(channels, max(self.round_to, math.floor(exact / self.round_to + 0.5) * self.round_to))


@applies_to(PruneChannels, "torch")
def _prune(technique: PruneChannels, workload: Workload) -> Workload:
    require("torch_pruning", "torch", "Pruning channels")
    from trimwatt.framework.torch.groups import shrunk
    from trimwatt.framework.torch.importance import scores
    from trimwatt.framework.torch.recalibrate import recalibrate_
    from trimwatt.framework.torch.run import example, sample, threads
    from trimwatt.framework.torch.size import team

    with threads(team(workload, RECALIBRATION_ROWS)):
        score = scores(workload, technique.scope, technique.importance)
        module = shrunk(workload.model, example(workload), technique.scope, score, technique.kept)
        if technique.recalibrate:
            recalibrate_(module, sample(workload, RECALIBRATION_ROWS))
    return replace(workload, model=module)
