"""How much each channel matters to the loss, from gradients on training rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from trimwatt.errors import TrialFailed
from trimwatt.framework.torch.copying import copied
from trimwatt.framework.torch.groups import Group, Part, Score, by_weight, groups
from trimwatt.framework.torch.loss import criterion
from trimwatt.framework.torch.run import example, tensor
from trimwatt.workload import Workload

if TYPE_CHECKING:
    import torch
    from torch import nn

BY_WEIGHT, BY_GRADIENT = ("l1", "l2", "bn"), ("taylor", "hessian")
ROWS, BATCH = 512, 16


def scores(workload: Workload, scope: str, importance: str) -> Score:
    """What `groups.shrunk` asks; importance: one of BY_WEIGHT or BY_GRADIENT (see `gradients`)."""
    if importance in BY_WEIGHT:
        return by_weight(importance)
    table = gradients(workload, groups(workload.model, example(workload), scope), importance)
    return lambda group: table.get(group.layer)


def gradients(workload: Workload, found: list[Group], kind: str) -> dict[str, torch.Tensor]:
    """For each group by name, scores (channels,): what the loss would lose without each channel, to the order asked.

    "taylor": the square of the first-order change of the loss when the channel is scaled down to nothing, averaged
    over batches (Molchanov et al. 2017 and 2019, arXiv:1611.06440, arXiv:1906.10771). "hessian": half the sum of
    squared weights times squared gradients, the second-order change under the empirical Fisher diagonal (LeCun et al.
    1990; Theis et al. 2018, arXiv:1801.05787). Both read the columns of the layers that take the channel.
    """
    import torch

    from trimwatt.framework.torch.reached import zero_unreached

    module: nn.Module = copied(workload.model).eval()
    module.requires_grad_(True)
    total = {group.layer: torch.zeros(group.channels) for group in found if _read(group)}
    batches = 0
    with zero_unreached(module, example(workload)):
        for loss in losses(workload, module):
            if not math.isfinite(loss.item()):
                raise TrialFailed(f"the loss on training rows is {loss.item():g}; no channel's importance can be told")
            module.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            batches += 1
            for group in found:
                if group.layer in total:
                    total[group.layer] += _once(module, group, kind)
    return {name: value / max(1, batches) for name, value in total.items()}


def losses(workload: Workload, module: nn.Module) -> Iterator[torch.Tensor]:
    """The loss of batch after batch of training rows, for gradients; nothing is learned from them here."""
    split = workload.fit_rows.sample(ROWS, workload.seed)
    judge = criterion(workload, split.y, from_scratch=False)
    targets = judge.targets(split.y)
    for start in range(0, len(split), BATCH):
        rows = split.take(slice(start, start + BATCH))
        yield judge(module(tensor(workload, rows.x)).float(), targets[start : start + BATCH])


def _read(group: Group) -> list[Part]:
    """The parts that tell: layers that take the channels, else those that make them."""
    return group.of("in") or group.of("out")


def _once(module: nn.Module, group: Group, kind: str) -> torch.Tensor:
    import torch

    first, second = torch.zeros(group.channels), torch.zeros(group.channels)
    for part in _read(group):
        weight = getattr(module.get_submodule(part.layer), "weight", None)
        if weight is None or weight.grad is None:
            continue
        product = (weight * weight.grad).detach().float()
        index, places = torch.tensor(part.channels), torch.tensor(part.places)
        axis = int((part.side == "in") != _transposed(module, part))
        moved = product.movedim(axis, 0).flatten(1)
        first.scatter_add_(0, index, moved.sum(1)[places])
        second.scatter_add_(0, index, moved.square().sum(1)[places])
    return first.square() if kind == "taylor" else second / 2


def _transposed(module: nn.Module, part: Part) -> bool:
    from torch import nn

    return isinstance(module.get_submodule(part.layer), nn.modules.conv._ConvTransposeNd)
