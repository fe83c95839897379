"""Channels removed where that saves measured time, and left where they matter: a knapsack over the layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.prune import _knapsack, _ties
from trimwatt.technique.prune.channels import RECALIBRATION_ROWS
from trimwatt.technique.prune.costs import Row, tables
from trimwatt.technique.prune.sensitivity import scan
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from trimwatt.framework.torch.groups import Group, Score


@dataclass(frozen=True)
class PruneBudget(Technique):
    """Remove channels so that what is left takes a share of the measured time and loses the least.

    Each group of channels gets a width of its own, one of those whose cost was measured on this host, by a knapsack.
    The layers that give the answer are left alone, layers without a measured cost too. Fine-tuning usually follows.
    share: of the network's measured seconds that may be left, in (0, 1). costs, rest_s: rows (layer, inputs, outputs,
    seconds) and the seconds besides, as `profile.layers.measure` finds them. importance: "sensitivity" (loss on
    held-out training rows with the layer alone at that width), "taylor" or "hessian" (sums over the channels that
    stay, see `prune-channels`; cheaper). losses: rows (layer, channels left, loss) where `layer_sensitivity` measured
    them before; else they are measured now. scope, recalibrate: as of `prune-channels`.
    """

    name: ClassVar[str] = "prune-budget"
    family: ClassVar[str] = "pruning"
    group: ClassVar[str] = "prune"
    shrinks: ClassVar[frozenset[str]] = frozenset({"parameters", "macs", "bytes"})
    reference: ClassVar[str] = (
        "Molchanov et al. 2022 (HALP), arXiv:2110.10811; Yang et al. 2018 (NetAdapt), arXiv:1804.03230"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})

    share: float = 0.5
    costs: tuple[Row, ...] = ()
    rest_s: float = 0.0
    importance: str = "sensitivity"
    losses: tuple[tuple[str, int, float], ...] = ()
    scope: str = "inner"
    recalibrate: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            hint = f"; did you mean {self.share / 100:g}?" if 1 < self.share < 100 else ""
            raise InputError(f"share is of the measured time, in (0, 1), got {self.share:g}{hint}")
        known = (("scope", ("inner", "all")), ("importance", ("sensitivity", "taylor", "hessian")))
        for name, allowed in known:
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is {' or '.join(allowed)}, got {getattr(self, name)!r}")
        if not self.rest_s >= 0:
            raise InputError(f"rest_s is a time in seconds, got {self.rest_s}")
        if wrong := [row for row in self.losses if not math.isfinite(row[2])]:
            raise InputError(f"losses give layer {wrong[0][0]} a loss of {wrong[0][2]}; measure them anew")
        tables(self.costs)

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """Half of the time between, and half as much, where costs were measured."""
        return [replace(self, share=s) for s in (0.5, 0.7) if s != self.share] if self.costs else []


@applies_to(PruneBudget, "torch")
def _prune(technique: PruneBudget, workload: Workload) -> Workload:
    require("torch_pruning", "torch", "Pruning channels")
    from trimwatt.framework.torch.groups import lowest, without
    from trimwatt.framework.torch.importance import scores
    from trimwatt.framework.torch.recalibrate import recalibrate_
    from trimwatt.framework.torch.run import example, sample, threads
    from trimwatt.framework.torch.size import team

    if not technique.costs:
        raise TrialFailed("prune-budget has no costs; measure them on this host with trimwatt.profile.layers.measure")
    rows = example(workload)
    with threads(team(workload, RECALIBRATION_ROWS)):
        by = "taylor" if technique.importance == "sensitivity" else technique.importance
        score = scores(workload, technique.scope, by)
        kept = chosen(technique, workload, score)
        module = without(
            workload.model, rows, technique.scope,
            lambda group: lowest(group, score, group.channels - kept.get(group.layer, group.channels)),
        )  # fmt: skip
        if technique.recalibrate:
            recalibrate_(module, sample(workload, RECALIBRATION_ROWS))
    return replace(workload, model=module)


def chosen(technique: PruneBudget, workload: Workload, score: Score) -> dict[str, int]:
    """Channels left of each group, by its layer; raises TrialFailed where no width keeps the budget."""
    from trimwatt.framework.torch.groups import groups
    from trimwatt.framework.torch.run import example

    found = groups(workload.model, example(workload), technique.scope)
    ties = _ties.Ties.of(found, tables(technique.costs), technique.rest_s, workload)
    left = {group.layer: ties.measured(group) for group in found if score(group) is not None}
    left = {layer: widths for layer, widths in left.items() if len(widths) > 1}
    if not left:
        raise TrialFailed("costs were measured for none of the layers that can be pruned; measure this network's")
    whole = ties.total({})
    # a narrower layer may take longer, so the cheapest width is not always the narrowest
    cheapest = {layer: min(widths, key=partial(ties.cost, layer)) for layer, widths in left.items()}
    least = ties.total(cheapest) / whole
    if least > technique.share:
        raise TrialFailed(f"at the cheapest measured widths {least:.2f} of the time is left; ask a share above that")
    worth = _worth(technique, workload, score, found, left)
    choices = {
        layer: [_knapsack.Option(w, ties.cost(layer, w), worth[layer][w]) for w in widths if w in worth[layer]]
        for layer, widths in left.items()
        if max(widths) in worth[layer]
    }
    picked = _knapsack.widths(choices, ties.total, technique.share * whole)
    if picked is None:
        raise TrialFailed(f"no widths found that leave {technique.share:.2f} of the time; ask a larger share")
    return picked


def _worth(
    technique: PruneBudget, workload: Workload, score: Score, found: list[Group], left: Mapping[str, Sequence[int]]
) -> dict[str, dict[int, float]]:
    """What each width of each group is worth: importance kept, or loss avoided; widths not known are left out."""
    if technique.importance == "sensitivity":
        losses = technique.losses or [row[:3] for row in scan(workload, technique.scope, score, left).rows]
        return {layer: _falling({w: loss for name, w, loss in losses if name == layer}) for layer in left}
    worth = {}
    for group in found:
        value = score(group)
        if group.layer in left and value is not None:
            kept = value.double().sort(descending=True)[0].cumsum(0)
            worth[group.layer] = {width: float(kept[width - 1]) for width in left[group.layer]}
    return worth


def _falling(losses: Mapping[int, float]) -> dict[int, float]:
    """Worth of each width, from its loss: a narrower one is never worth more, whatever a few rows say."""
    worth, so_far = {}, float("-inf")
    for width in sorted(losses, reverse=True):
        so_far = max(so_far, losses[width])
        worth[width] = -so_far
    return worth
