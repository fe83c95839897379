"""Attention heads and feed-forward neurons of transformer encoders removed for good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed, first_line
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique._layers import ATTENDS, lacks
from trimwatt.technique.prune import _readout, _share, _surgeon
from trimwatt.workload import Array, Workload

if TYPE_CHECKING:
    import torch
    from torch import nn

    from trimwatt.framework.torch.attention import Units

ROWS = 256


@dataclass(frozen=True)
class PruneHeads(Technique):
    """Remove heads with their queries, keys, values and outputs, and neurons of the layers behind them.

    Known are encoders laid out as BERT in transformers and torch.nn.TransformerEncoderLayer. Embeddings, and what
    stands around the encoder, are left alone. Fine-tuning usually follows.
    heads, neurons: shares to remove, in [0, 1), of each layer's heads and feed-forward neurons; one is above 0.
    importance: "taylor" (change of the loss, to first order, on training rows) or "magnitude" (norm of the weights of
    a unit); neurons under "activation" are chosen by how badly the others can stand in, heads by "taylor" then.
    repair: the layer that takes the units is fitted anew by least squares, on training rows. round_to: the neurons
    left are a multiple of this.
    """

    name: ClassVar[str] = "prune-heads"
    family: ClassVar[str] = "pruning"
    group: ClassVar[str] = "prune"
    shrinks: ClassVar[frozenset[str]] = frozenset({"parameters", "macs", "bytes"})
    reference: ClassVar[str] = "Michel et al. 2019, arXiv:1905.10650; Kwon et al. 2022, arXiv:2204.09656"
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})

    heads: float = 0.25
    neurons: float = 0.25
    importance: str = "activation"
    repair: bool = True
    round_to: int = 16

    def __post_init__(self) -> None:
        for name in ("heads", "neurons"):
            share = getattr(self, name)
            if share:
                _share.check(share, name)
        if not (self.heads or self.neurons):
            raise InputError("heads and neurons are shares to remove, one of them above 0; both are 0")
        _share.one_of("importance", self.importance, ("activation", "taylor", "magnitude"))
        _share.check_round_to(self.round_to, "neurons")

    def suits(self, workload: Workload) -> str:
        return lacks(workload, ATTENDS, "attention")

    def variants(self, workload: Workload) -> list[Technique]:
        """Neurons alone, and half of both."""
        offers = [replace(self, heads=0.0, neurons=self.neurons or 0.25), replace(self, heads=0.5, neurons=0.5)]
        return [offer for offer in offers if offer != self]

    def by_slope(self, units: Units) -> bool:
        """Whether a layer's units are judged by the loss's slope."""
        return self.importance == "taylor" or (self.importance == "activation" and units.kind == "heads")

    def kept(self, units: Units) -> int:
        """How many of a layer's units stay; raises TrialFailed for none."""
        share, round_to = (self.heads, 1) if units.kind == "heads" else (self.neurons, self.round_to)
        return _share.kept(share, units.number, round_to, units.layer or "the module", units.kind)


@applies_to(PruneHeads, "torch")
def _prune(technique: PruneHeads, workload: Workload) -> Workload:
    require("torch", "torch", "Pruning")
    from trimwatt.framework.torch import attention
    from trimwatt.framework.torch.run import evaluated, sample, threads, unfused
    from trimwatt.framework.torch.size import team

    whole = attention.opened(_copy(workload.model))
    known = attention.found(whole)
    if not known:
        raise TrialFailed(
            "no encoder layer of a known layout: BERT's of transformers, torch.nn.TransformerEncoderLayer"
        )
    fewer = {units: number for units in known if (number := technique.kept(units)) < units.number}
    if not fewer:
        raise TrialFailed(f"no head and no neuron is removed where {technique.round_to} neurons stand together")
    with threads(team(workload, ROWS)), unfused():
        rows = sample(workload, ROWS)
        sloped = [units for units in fewer if technique.by_slope(units)]
        score = _by_gradient(replace(workload, model=whole), sloped) if sloped else {}
        flows = _readout.flows(whole, [units.taker for units in fewer], rows) if _acts(technique) else {}
        module = _copy(whole)
        for units, number in fewer.items():
            flow = flows.get(units.taker)
            attention.shrink_(module, units, _chosen(technique, whole, units, number, score, flow))
            if technique.repair and flow is not None:
                _readout.refit_(module, units.taker, flow, rows)
        _check(module, evaluated(workload.model), rows[:2])
    return replace(workload, model=module)


def _copy(module: nn.Module) -> nn.Module:
    from trimwatt.framework.torch.copying import copied

    return copied(module).eval()


def _acts(technique: PruneHeads) -> bool:
    return technique.repair or technique.importance == "activation"


def _chosen(
    technique: PruneHeads,
    whole: nn.Module,
    units: Units,
    number: int,
    score: dict[Units, Array],
    flow: _readout.Flow | None,
) -> torch.Tensor:
    """Sorted indices of the units to keep."""
    import torch

    if technique.importance == "activation" and units.kind == "neurons" and flow is not None:
        taker: Any = whole.get_submodule(units.taker)
        weights = taker.weight.detach().double().numpy().T
        kept = _surgeon.keep(flow.given.astype(np.float64), weights, number, technique.repair)
        return torch.from_numpy(np.asarray(kept))
    value = score[units] if units in score else _norms(whole, units)
    return torch.from_numpy(np.sort(np.argsort(-value, kind="stable")[:number]))


def _norms(module: nn.Module, units: Units) -> Array:
    """Norm of the weights that make and take each unit, (units,)."""
    makers: list[Any] = [module.get_submodule(name) for name in units.makers]
    taker: Any = module.get_submodule(units.taker)
    weights = [layer.weight.detach() for layer in makers] + [taker.weight.detach().T]
    squares = [weight.double().square().sum(1).reshape(units.number, -1).sum(1) for weight in weights]
    return np.asarray(sum(squares[1:], squares[0]).sqrt().numpy())


def _by_gradient(workload: Workload, known: list[Units]) -> dict[Units, Array]:
    """For each layer's units, (units,): how much of the loss each row would gain or lose without one, to first order.

    The absolute product of what a unit gives and the loss's slope there, summed over a row (Michel et al. 2019).
    """
    from trimwatt.framework.torch.importance import losses

    module: nn.Module = _copy(workload.model).requires_grad_(True)
    seen: dict[Units, Any] = {}
    total = {units: np.zeros(units.number) for units in known}
    handles = [module.get_submodule(units.taker).register_forward_pre_hook(_keeping(seen, units)) for units in known]
    try:
        for loss in losses(workload, module):
            loss.backward()  # type: ignore[no-untyped-call]
            for units, value in seen.items():
                product = (value.grad * value).detach().reshape(len(value), -1, units.number, units.width)
                total[units] += product.sum((1, 3)).abs().sum(0).double().numpy()
    finally:
        for handle in handles:
            handle.remove()
    return total


def _keeping(seen: dict[Units, Any], units: Units) -> Any:
    def keep(_: Any, given: tuple[Any, ...]) -> None:
        given[0].retain_grad()
        seen[units] = given[0]

    return keep


def _check(module: nn.Module, before: nn.Module, rows: torch.Tensor) -> None:
    import torch

    with torch.no_grad():
        try:
            after = module(rows).shape
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise TrialFailed(f"the network does not run without its heads: {first_line(error)}") from error
        if after != (expected := before(rows).shape):
            raise TrialFailed(f"without its heads the network answers with shape {tuple(after)}, not {tuple(expected)}")
