"""Convolutions through fewer channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.technique._base import applies_to
from trimwatt.technique._layers import CONVOLVES, lacks
from trimwatt.technique.factorize import _bayes
from trimwatt.technique.factorize._plan import Choice, Factorizing, Option, choose, tell
from trimwatt.technique.factorize.svd import NOT_SMALLER
from trimwatt.workload import Array, Workload

if TYPE_CHECKING:
    from torch import nn

    from trimwatt.framework.torch.lowrank import Layer

_STEPS = 40


@dataclass(frozen=True)
class Tucker(Factorizing):
    """Replace convolutions by a 1x1 one into fewer channels, a small core and a 1x1 one out again (Tucker-2).

    rank, keep, cost, heads: see `Factorizing`. Energy is that of the kernel unfolded by its input and by its output
    channels, the losses of both added. round_to: ranks go up in steps of this, or of a quarter of the channels where
    that is less, since kernels compute channels in blocks. Fine-tuning usually follows.
    """

    name: ClassVar[str] = "tucker"
    group: ClassVar[str] = "factorize"
    reference: ClassVar[str] = "Kim et al. 2016, arXiv:1511.06530; Nakajima et al. 2013, JMLR 14"
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})

    round_to: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.round_to < 1:
            raise InputError(f"round_to is a number of channels from 1, got {self.round_to}")

    def suits(self, workload: Workload) -> str:
        if workload.rows.kind != "image" and workload.form == "none":
            return "networks for these rows have no convolution"
        return "" if workload.form == "none" else lacks(workload, CONVOLVES, "convolution")

    def variants(self, workload: Workload) -> list[Tucker]:
        """Half of the cost, where it went by something else."""
        return [] if self.rank == "budget" else [replace(self, rank="budget", keep=0.5)]


@applies_to(Tucker, "torch")
def _torch(technique: Tucker, workload: Workload) -> Workload:
    require("tensorly", "factorize", "Factoring convolutions")
    from trimwatt.framework.torch import lowrank
    from trimwatt.framework.torch.run import evaluated, example

    module, row = evaluated(workload.model), example(workload, 1)
    found = lowrank.find(module, row, is_convolution, technique.heads)
    choices = [choice(layer, technique.round_to) for layer in found.layers]
    ranks = choose(technique, choices)
    tell(technique, list(ranks), found.left | {c.name: NOT_SMALLER for c in choices if c.name not in ranks})
    chains: dict[str, nn.Module] = {
        layer.name: chain(layer, ranks[layer.name]) for layer in found.layers if layer.name in ranks
    }
    return replace(workload, model=lowrank.replaced(module, chains, row))


def is_convolution(layer: Any) -> bool:
    """Whether a layer is a convolution of more than one pixel."""
    from torch import nn

    return type(layer) in (nn.Conv1d, nn.Conv2d) and set(layer.kernel_size) != {1}


def unfolded(weight: Array, mode: int) -> Array:
    """The kernel as a matrix: the channels of `mode` (0 out, 1 in) by all else."""
    return np.moveaxis(weight, mode, 0).reshape(weight.shape[mode], -1)


def choice(layer: Layer, round_to: int = 1) -> Choice:
    """Pairs of ranks (out, in) of about equal losses, from little to much, and that of variational Bayes."""
    weight = layer.weight
    lost = [_lost(unfolded(weight, mode)) for mode in (0, 1)]
    bayes = tuple(_bayes.rank(unfolded(weight, mode)) for mode in (0, 1))
    levels = np.unique(np.concatenate(lost))[:: max(1, sum(map(len, lost)) // _STEPS)]
    pairs = {tuple(int(np.argmax(side <= level + 1e-15)) + 1 for side in lost) for level in levels}
    pairs |= {(1, 1), bayes} if min(bayes) > 0 else {(1, 1)}
    sides = weight.shape[:2]
    pairs = {_rounded(pair, sides, round_to) for pair in pairs}
    bayes = _rounded(bayes, sides, round_to) if min(bayes) > 0 else bayes
    options = tuple(_option(layer, (out, inner), lost) for out, inner in sorted(pairs))
    whole = Option((), 0.0, weight.size * layer.after, weight.size)
    return Choice(layer.name, whole, options, bayes)


def _rounded(ranks: tuple[int, ...], sides: Sequence[int], round_to: int) -> tuple[int, ...]:
    """Each rank the next of its side's steps, at most the side."""
    steps = [max(1, min(round_to, side // 4)) for side in sides]
    return tuple(min(side, -(-rank // step) * step) for rank, side, step in zip(ranks, sides, steps, strict=True))


def _lost(matrix: Array) -> Array:
    """The share of its energy that a matrix lacks at rank 1, 2, ... (at its full side nothing)."""
    energy = _bayes.squares(matrix)
    lost = 1 - np.cumsum(energy) / max(energy.sum(), 1e-300)
    return np.asarray(np.maximum(lost, 0))


def _option(layer: Layer, ranks: tuple[int, int], lost: list[Array]) -> Option:
    out, inputs, *kernel = layer.weight.shape
    parts = ((ranks[1] * inputs if ranks[1] < inputs else 0, layer.before),
             (ranks[0] * ranks[1] * int(np.prod(kernel)), layer.after),
             (ranks[0] * out if ranks[0] < out else 0, layer.after))  # fmt: skip
    loss = sum(float(side[rank - 1]) for side, rank in zip(lost, ranks, strict=True))
    return Option(ranks, loss, sum(size * places for size, places in parts), sum(size for size, _ in parts))


def chain(layer: Layer, ranks: tuple[int, ...]) -> nn.Sequential:
    """The convolutions of a layer at ranks (out, in); a side at its full rank has no 1x1 convolution."""
    from tensorly.decomposition import partial_tucker
    from torch import nn

    from trimwatt.framework.torch.lowrank import convolution

    weight, ones = layer.weight, (1,) * (layer.weight.ndim - 2)
    modes = [mode for mode in (0, 1) if ranks[mode] < weight.shape[mode]]
    core, sides = weight, dict[int, Array]()
    if modes:
        # by the eigenvectors of the smaller side: twenty times faster than decomposing the long one
        (core, factors), _ = partial_tucker(
            weight, rank=[ranks[mode] for mode in modes], modes=modes, init="svd", svd="symeig_svd", random_state=0
        )
        sides = dict(zip(modes, factors, strict=True))
    parts: list[nn.Module] = []
    if 1 in sides:
        parts.append(convolution(layer.module, sides[1].T.reshape(*sides[1].T.shape, *ones), None, spatial=False))
    last = 0 not in sides
    parts.append(convolution(layer.module, core, layer.bias if last else None, spatial=True))
    if not last:
        parts.append(convolution(layer.module, sides[0].reshape(*sides[0].shape, *ones), layer.bias, spatial=False))
    return nn.Sequential(*parts)
