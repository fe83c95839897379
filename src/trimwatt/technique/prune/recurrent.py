"""Hidden units of LSTMs, GRUs and plain recurrent layers removed for good."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import TrialFailed, first_line
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique._layers import RECURS, lacks
from trimwatt.technique.prune import _readout, _share, _surgeon
from trimwatt.workload import Array, Workload

if TYPE_CHECKING:
    import torch
    from torch import nn

    from trimwatt.framework.torch.recurrent import Cell, Found

ROWS, STATES = 512, 20000


@dataclass(frozen=True)
class PruneRecurrent(Technique):
    """Remove hidden units with their gates, their recurrent columns and what reads them; no mask is left behind.

    All levels and directions of a layer lose as many, since PyTorch and ONNX know one size. Layers whose units are not
    read one by one (by a normalization, a sum, an attention) are left alone. With repair, fine-tuning need not
    follow; where training rows lie apart from later ones, it can cost answers.
    share: of the units to remove, in (0, 1). importance: "activation" (how the states vary on training rows, times the
    weights that read them; with repair, how badly the others could stand in), "l1" or "l2" (norm of a unit's weights),
    "taylor" (squared first-order change of the loss). repair: weights that read a lost unit are passed on to the units
    that explain it best, and dense layers behind are fitted anew, by least squares on training rows. round_to: the
    units left are a multiple of this.
    """

    name: ClassVar[str] = "prune-recurrent"
    family: ClassVar[str] = "pruning"
    group: ClassVar[str] = "prune"
    shrinks: ClassVar[frozenset[str]] = frozenset({"parameters", "macs", "bytes"})
    reference: ClassVar[str] = "Wen et al. 2018, arXiv:1709.05027; Molchanov et al. 2017, arXiv:1611.06440"
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})

    share: float = 0.5
    importance: str = "activation"
    repair: bool = True
    round_to: int = 8

    def __post_init__(self) -> None:
        _share.check(self.share)
        _share.one_of("importance", self.importance, ("activation", "l1", "l2", "taylor"))
        _share.check_round_to(self.round_to, "units")

    def suits(self, workload: Workload) -> str:
        return lacks(workload, RECURS, "recurrent layer")

    def variants(self, workload: Workload) -> list[Technique]:
        """Three quarters, seven eighths and fifteen sixteenths."""
        return [replace(self, share=share) for share in (0.75, 0.875, 0.9375) if share != self.share]


@applies_to(PruneRecurrent, "torch")
def _prune(technique: PruneRecurrent, workload: Workload) -> Workload:
    require("torch", "torch", "Pruning")
    from trimwatt.framework.torch import recurrent
    from trimwatt.framework.torch.run import example, sample, threads
    from trimwatt.framework.torch.size import team

    module, row = recurrent.owned(workload.model), example(workload, 1)
    known = recurrent.survey(module, row)
    _tell(known.left, bool(known.found))
    smaller = False
    with threads(team(workload, ROWS)):
        rows = sample(workload, ROWS)
        for name in [found.layer for found in known.found]:
            found = next(f for f in recurrent.survey(module, row).found if f.layer == name)
            number = _share.kept(technique.share, found.units, technique.round_to, name, "units")
            if number < found.units:
                module = _less(technique, replace(workload, model=module), found, number, rows)
                smaller = True
    if not smaller:
        raise TrialFailed(f"share {technique.share:g} removes no unit where {technique.round_to} stand together")
    _check(module, workload, row)
    return replace(workload, model=module)


def _tell(left: dict[str, str], some: bool) -> None:
    told = "; ".join(f"{name or 'the module'}: {why}" for name, why in left.items())
    if not some:
        raise TrialFailed(f"no recurrent layer can lose units ({told})" if told else "the network is not recurrent")
    if told:
        logging.getLogger("trimwatt").info("prune-recurrent leaves alone %s", told)


def _less(technique: PruneRecurrent, workload: Workload, found: Found, number: int, rows: Any) -> nn.Module:
    """A copy of the module in which `number` units of each cell of one layer are left."""
    import torch

    from trimwatt.framework.torch import recurrent

    module = recurrent.owned(workload.model)
    states = recurrent.states(module, found.layer, rows) if technique.repair or _acts(technique) else {}
    kept, shares = dict[Any, torch.Tensor](), dict[Any, torch.Tensor]()
    for cell in found.cells:
        act = _some(states[cell]) if cell in states else None
        chosen = _chosen(technique, workload, found, cell, act, number)
        kept[cell] = torch.from_numpy(chosen)
        if technique.repair and act is not None:
            shares[cell] = _stand_in(act, chosen)
    for cell, share in shares.items():
        recurrent.add_(module, found, cell, share.to(next(module.parameters()).dtype))
    recurrent.shrink_(module, found, kept)
    if technique.repair:
        readers = sorted({reader.layer for reader in found.readers})
        for name, flow in _readout.flows(workload.model, readers, rows).items():
            _readout.refit_(module, name, flow, rows)
    return module


def _acts(technique: PruneRecurrent) -> bool:
    return technique.importance == "activation"


def _some(states: torch.Tensor) -> Array:
    """Up to so many states, evenly spread: (states, units), float64."""
    flat = states.reshape(-1, states.shape[-1])
    step = max(1, len(flat) // STATES)
    return flat[::step].double().numpy()


def _chosen(
    technique: PruneRecurrent, workload: Workload, found: Found, cell: Cell, act: Array | None, number: int
) -> Array:
    """Sorted indices of the units of a cell to keep."""
    from trimwatt.framework.torch.recurrent import outgoing

    if _acts(technique) and act is not None:
        weights = outgoing(workload.model, found, cell).detach().double().numpy()
        return np.asarray(_surgeon.keep(act, weights, number, technique.repair))
    score = _scores(technique.importance, workload, found, cell)
    return np.sort(np.argsort(-score, kind="stable")[:number])


def _scores(importance: str, workload: Workload, found: Found, cell: Cell) -> Array:
    """A score (units,) by the weights that make and read a unit, or by gradients of those that read it."""
    import torch

    from trimwatt.framework.torch.recurrent import outgoing, rows_of

    if importance == "taylor":
        return _taylor(workload, found, cell)
    layer: Any = workload.model.get_submodule(found.layer)
    own = torch.cat([getattr(layer, f"weight_ih{cell.suffix}"), getattr(layer, f"weight_hh{cell.suffix}")], 1).detach()
    made = own[rows_of(layer, torch.arange(found.units))].reshape(-1, found.units, own.shape[1]).transpose(0, 1)
    both = torch.cat([made.flatten(1), outgoing(workload.model, found, cell).detach()], 1)
    return np.asarray(both.norm(p={"l1": 1, "l2": 2}[importance], dim=1).double().numpy())


def _taylor(workload: Workload, found: Found, cell: Cell) -> Array:
    from trimwatt.framework.torch.importance import losses
    from trimwatt.framework.torch.recurrent import outgoing, owned

    module, total = owned(workload.model).requires_grad_(True), np.zeros(found.units)
    for loss in losses(workload, module):
        module.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        total += outgoing(module, found, cell, _first_order).sum(1).square().double().numpy()
    return total


def _first_order(weight: torch.Tensor) -> torch.Tensor:
    return weight.detach() * 0 if weight.grad is None else (weight * weight.grad).detach()


def _stand_in(act: Array, kept: Array) -> torch.Tensor:
    """How much of each unit stands for each that goes, (units, units): least squares, without a constant."""
    import torch

    units = act.shape[1]
    gone = np.setdiff1d(np.arange(units), kept)
    share = np.zeros((units, units))
    if len(gone):
        zero = np.zeros((len(kept), len(gone)))
        share[np.ix_(gone, kept)] = _surgeon.refit(act[:, kept], act[:, gone], zero, False)[0].T
    return torch.from_numpy(share)


def _check(module: nn.Module, workload: Workload, row: torch.Tensor) -> None:
    import torch

    from trimwatt.framework.torch.run import evaluated

    try:
        with torch.no_grad():
            before, after = evaluated(workload.model)(row).shape, module(row).shape
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise TrialFailed(f"the network does not run without its units: {first_line(error)}") from error
    if after != before:
        raise TrialFailed(f"without its units the network answers with shape {tuple(after)}, not {tuple(before)}")
