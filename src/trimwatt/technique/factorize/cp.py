"""Convolutions as sums of products of one-dimensional parts."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.technique._base import Maturity, applies_to
from trimwatt.technique._layers import CONVOLVES, lacks
from trimwatt.technique.factorize import _bayes
from trimwatt.technique.factorize._plan import Choice, Factorizing, Option, choose, tell
from trimwatt.technique.factorize.svd import NOT_SMALLER
from trimwatt.technique.factorize.tucker import is_convolution, unfolded
from trimwatt.workload import Array, Workload

if TYPE_CHECKING:
    from torch import nn

    from trimwatt.framework.torch.lowrank import Layer

_TRIED = 6
_GLANCE = 8
_ROUNDS = 100


@dataclass(frozen=True)
class Cp(Factorizing):
    """Replace convolutions by 1x1, depthwise and 1x1 ones (canonical polyadic decomposition).

    rank, keep, cost, heads: see `Factorizing`. A few ranks of each layer are fitted by alternating least squares; of
    those the rank is chosen. Fine-tuning should follow: the parts cancel each other in large numbers at times.
    """

    name: ClassVar[str] = "cp"
    maturity: ClassVar[Maturity] = "experimental"
    group: ClassVar[str] = "factorize"
    reference: ClassVar[str] = "Lebedev et al. 2015, arXiv:1412.6553; Astrid and Lee 2017, arXiv:1701.07148"
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})

    rank: str = "budget"
    keep: float = 0.5

    def suits(self, workload: Workload) -> str:
        if workload.rows.kind != "image" and workload.form == "none":
            return "networks for these rows have no convolution"
        return "" if workload.form == "none" else lacks(workload, CONVOLVES, "convolution")


@applies_to(Cp, "torch")
def _torch(technique: Cp, workload: Workload) -> Workload:
    require("tensorly", "factorize", "Factoring convolutions")
    from trimwatt.framework.torch import lowrank
    from trimwatt.framework.torch.run import evaluated, example

    module, row = evaluated(workload.model), example(workload, 1)
    found = lowrank.find(module, row, is_convolution, technique.heads)
    choices = [_choice(layer) for layer in found.layers]
    ranks = choose(technique, choices)
    tell(technique, list(ranks), found.left | {c.name: NOT_SMALLER for c in choices if c.name not in ranks})
    chains: dict[str, nn.Module] = {
        layer.name: chain(layer, fit(layer.weight, ranks[layer.name][0]))
        for layer in found.layers
        if layer.name in ranks
    }
    return replace(workload, model=lowrank.replaced(module, chains, row))


def _choice(layer: Layer) -> Choice:
    """Ranks spread evenly over those that shrink the layer, and that of variational Bayes, each fitted in a hurry."""
    out, inputs, *kernel = layer.weight.shape
    size = int(np.prod(kernel))
    each = inputs + size + out, inputs * layer.before + (size + out) * layer.after
    most = min(layer.weight.size // each[0], layer.weight.size * layer.after // each[1])
    bayes = max(_bayes.rank(unfolded(layer.weight, mode)) for mode in (0, 1))
    tried = {int(rank) for rank in np.linspace(0, most, _TRIED + 1)[1:]} | {min(bayes, most)}
    options = []
    for rank in sorted(tried - {0}):
        rest = layer.weight - whole(fit(layer.weight, rank, _GLANCE), layer.weight.shape)
        lost = float(np.sum(rest**2) / max(np.sum(layer.weight**2), 1e-300))
        options.append(Option((rank,), lost, rank * each[1], rank * each[0]))
    return Choice(
        layer.name, Option((), 0.0, layer.weight.size * layer.after, layer.weight.size), tuple(options), (bayes,)
    )


def fit(weight: Array, rank: int, rounds: int = _ROUNDS) -> list[Array]:
    """Factors (out, rank), (in, rank) and (kernel, rank) of a kernel, by alternating least squares."""
    from tensorly.decomposition import parafac

    folded = weight.reshape(*weight.shape[:2], -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a rank above a side's size is no mistake here
        found = parafac(
            folded, rank, n_iter_max=rounds, init="svd", svd="symeig_svd", tol=1e-9, random_state=0, l2_reg=0
        )
    weights, factors = found
    parts = [np.asarray(factor) for factor in factors]
    return _balanced([parts[0] * weights, *parts[1:]])


def _balanced(factors: list[Array]) -> list[Array]:
    """The same product with parts of equal size, so that none of them runs out of its range."""
    norms = [np.maximum(np.linalg.norm(factor, axis=0), 1e-30) for factor in factors]
    mean = np.prod(norms, axis=0) ** (1 / len(norms))
    return [factor / norm * mean for factor, norm in zip(factors, norms, strict=True)]


def whole(factors: list[Array], shape: tuple[int, ...]) -> Array:
    """The kernel that the factors stand for."""
    return np.asarray(np.einsum("or,ir,kr->oik", *factors).reshape(shape))


def chain(layer: Layer, factors: list[Array]) -> nn.Sequential:
    """1x1, depthwise and 1x1 convolutions of a layer."""
    from torch import nn

    from trimwatt.framework.torch.lowrank import convolution

    out, inputs, kernel = factors
    ones, rank = (1,) * (layer.weight.ndim - 2), out.shape[1]
    return nn.Sequential(
        convolution(layer.module, inputs.T.reshape(rank, -1, *ones), None, spatial=False),
        convolution(layer.module, kernel.T.reshape(rank, 1, *layer.weight.shape[2:]), None, spatial=True, groups=rank),
        convolution(layer.module, out.reshape(len(out), rank, *ones), layer.bias, spatial=False),
    )
