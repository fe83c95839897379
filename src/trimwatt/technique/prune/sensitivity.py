"""How much quality the network loses when one layer alone loses channels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.workload import Decide, Workload

if TYPE_CHECKING:
    from torch import nn

    from trimwatt.framework.torch.groups import Group, Score

ROWS, RECALIBRATION_ROWS = 512, 256


@dataclass(frozen=True)
class LayerSensitivity:
    """Loss and quality on held-out training rows with one layer pruned, all others whole.

    rows: (layer, channels left, loss, quality), all channels among them. loss, quality: of the whole network.
    """

    rows: tuple[tuple[str, int, float, float], ...]
    loss: float
    quality: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    def worst(self) -> list[str]:
        """Layers by what their loss costs, the most sensitive first, each at its narrowest."""
        last = {layer: loss for layer, _, loss, _ in sorted(self.rows, key=lambda row: -row[1])}
        return sorted(last, key=lambda layer: -last[layer])


def layer_sensitivity(
    workload: Workload, shares: Sequence[float] = (0.25, 0.5, 0.75), scope: str = "inner", importance: str = "taylor"
) -> LayerSensitivity:
    """Prune each group of channels alone by each of `shares`, in (0, 1), and judge it; the workload stays as it is.

    scope, importance: as of `prune-channels`. Judged on held-out training rows, never on validation rows (Li et al.
    2017, arXiv:1608.08710, section 3.2).
    """
    require("torch_pruning", "torch", "Pruning channels")
    from trimwatt.framework.torch.groups import groups
    from trimwatt.framework.torch.importance import scores
    from trimwatt.framework.torch.run import example

    for share in shares:
        if not 0 < share < 1:
            raise InputError(f"shares are in (0, 1), got {share:g}")
    found = groups(workload.model, example(workload), scope)
    left = {group.layer: [max(1, round(group.channels * (1 - s))) for s in (*shares, 0.0)] for group in found}
    return scan(workload, scope, scores(workload, scope, importance), left)


def scan(workload: Workload, scope: str, score: Score, left: Mapping[str, Sequence[int]]) -> LayerSensitivity:
    """The same at the given numbers of channels left, by layer."""
    from trimwatt.framework.torch.groups import groups
    from trimwatt.framework.torch.run import evaluated, example

    whole = _judged(workload, evaluated(workload.model))
    channels = {group.layer: group.channels for group in groups(workload.model, example(workload), scope)}
    rows = [
        (layer, kept, *(whole if kept >= channels[layer] else _without(workload, scope, score, layer, kept)))
        for layer, wanted in left.items()
        for kept in wanted
    ]
    return LayerSensitivity(tuple(rows), *whole)


def _without(workload: Workload, scope: str, score: Score, layer: str, kept: int) -> tuple[float, float]:
    """Loss and quality with only the group of `layer` pruned, normalization estimated anew."""
    from trimwatt.framework.torch.groups import lowest, without
    from trimwatt.framework.torch.recalibrate import recalibrate_
    from trimwatt.framework.torch.run import example, sample

    def gone(group: Group) -> Sequence[int]:
        return lowest(group, score, group.channels - kept) if group.layer == layer else ()

    module = without(workload.model, example(workload), scope, gone)
    recalibrate_(module, sample(workload, RECALIBRATION_ROWS))
    return _judged(workload, module)


def _judged(workload: Workload, module: nn.Module) -> tuple[float, float]:
    """Mean loss and quality on held-out training rows."""
    import torch

    from trimwatt.framework.torch.loss import criterion
    from trimwatt.framework.torch.run import forward, tensor

    held = workload.rows.holdout(workload.seed)[1].sample(ROWS, workload.seed)
    judge = criterion(workload, workload.rows.train.y, from_scratch=False)
    answers = forward(module, tensor(workload, held.x))
    loss = float(judge(torch.from_numpy(answers), judge.targets(held.y)))
    if not math.isfinite(loss):
        raise TrialFailed(f"the loss on held-out rows is {loss:g}, so no layer's sensitivity can be told")
    found = workload.probabilities(answers)
    if workload.quality.reads == "labels":
        found = (workload.decide or Decide(workload.rows.classes or ())).codes(found)
    return loss, workload.quality(held.y, found)
