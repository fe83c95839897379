"""The lasso on channels and neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trimwatt._imports import require
from trimwatt.technique._base import applies_to
from trimwatt.technique.sparse._plan import ChannelTraining, Lasso, groups, removed, steps
from trimwatt.workload import Workload

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class GroupLasso(ChannelTraining, Lasso):
    """Train further while whole channels and neurons are pulled to zero, and remove those that arrive.

    Which layers give how many is found by training, not set. The pull is on all weights that make or take a channel.
    """

    name: ClassVar[str] = "group-lasso"
    reference: ClassVar[str] = (
        "Yuan and Lin 2006; Wen et al. 2016, arXiv:1608.03665; Fang et al. 2023, arXiv:2301.12900"
    )


@applies_to(GroupLasso, "torch")
def _group_lasso(technique: GroupLasso, workload: Workload) -> Workload:
    require("torch_pruning", "torch", "Removing channels")
    from trimwatt.framework.torch import Hooks, fit, gates

    found = groups(technique, workload)
    units = gates.Channels(found, workload.model)

    def settle(worth: torch.Tensor, share: float) -> torch.Tensor:
        import torch

        return torch.cat(gates.widths(units.split(worth), share, technique.round_to))

    pull = gates.Proximal(units, technique.share, technique.strength, steps(technique, workload), settle)
    module = fit(workload, technique, hooks=Hooks(after_step=pull.after_step, keep_last=True))
    kept = units.split(pull.finish(module))
    return removed(technique, workload, module, found, kept)
