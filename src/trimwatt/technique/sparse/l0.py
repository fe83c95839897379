"""Gates that learn to shut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.technique._base import Maturity, applies_to
from trimwatt.technique.sparse._plan import ChannelTraining, groups, removed, steps
from trimwatt.workload import Workload


@dataclass(frozen=True)
class L0(ChannelTraining):
    """Train further with a hard concrete gate on each channel and neuron, and remove those whose gates are shut.

    The penalty is the expected number of open gates, in closed form; the gates' noise lets it have a gradient.
    """

    name: ClassVar[str] = "l0"
    maturity: ClassVar[Maturity] = "experimental"
    reference: ClassVar[str] = "Louizos, Welling and Kingma 2018, arXiv:1712.01312"


@applies_to(L0, "torch")
def _l0(technique: L0, workload: Workload) -> Workload:
    require("torch_pruning", "torch", "Removing channels")
    from trimwatt.framework.torch import Hooks, fit
    from trimwatt.framework.torch.gates_concrete import TRAVEL, HardConcrete

    found = groups(technique, workload)
    # half of the steps' rates on average: so far may a gate's logit go in all of training
    speed = TRAVEL / (0.5 * technique.learning_rate * max(1, steps(technique, workload)))
    gates = HardConcrete(found, technique.share, technique.round_to, speed, workload.seed)
    hooks = Hooks(prepare=gates.prepare, penalty=gates.penalty, after_step=gates.after_step, keep_last=True)
    module = gates.folded(fit(workload, technique, hooks=hooks))
    return removed(technique, workload, module, found, gates.kept)
