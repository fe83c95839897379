"""Dense and convolution layers of a module: found, and put in again as chains of smaller ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt.errors import TrialFailed, first_line
from trimwatt.framework.torch.copying import copied
from trimwatt.framework.torch.heads import heads
from trimwatt.workload import Array

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer as it ran on one row. before, after: how many places of a row it reads and writes (pixels, say)."""

    name: str
    module: Any
    before: int
    after: int

    @property
    def weight(self) -> Array:
        """(out, in, *kernel), float64."""
        return np.asarray(self.module.weight.detach().double().numpy())

    @property
    def bias(self) -> Array | None:
        """(out,), float64."""
        bias = self.module.bias
        return None if bias is None else np.asarray(bias.detach().double().numpy())


@dataclass(frozen=True, eq=False)
class Found:
    """layers: those that may be replaced, in the order they ran. left: why others may not, by name."""

    layers: tuple[Layer, ...]
    left: dict[str, str]


def find(module: nn.Module, row: torch.Tensor, wanted: Callable[[nn.Module], bool], with_heads: bool) -> Found:
    """The dense and convolution layers of `module`, in evaluation mode, that `wanted` takes.

    row: one row as the module takes it. with_heads: those that give the answer too. Left alone are layers in groups,
    layers that share their weights with others, and parts of layers that read their weights themselves.
    """
    ran = _ran(module, row)
    answering = set() if with_heads else {id(layer) for layer in heads(module, row, 1)}
    everywhere = [part for _, part in module.named_modules(remove_duplicate=False)]
    shared = Counter(id(p) for part in everywhere for p in part._parameters.values() if p is not None)
    inside = _read_by_parents(module)
    layers, left = list[Layer](), dict[str, str]()
    for name, layer in module.named_modules():
        if not hasattr(layer, "weight") or not wanted(layer):
            continue
        why = _unfit(layer, shared, inside, answering) or (None if layer in ran else "it did not run")
        if why is None:
            layers.append(Layer(name, layer, *ran[layer]))
        else:
            left[name] = why
    return Found(tuple(layers), left)


def _unfit(layer: Any, shared: Counter[int], inside: set[int], answering: set[int]) -> str | None:
    if id(layer) in answering:
        return "it gives the answer"
    if getattr(layer, "groups", 1) != 1:
        return "its convolution is in groups"
    if id(layer) in inside or type(layer).__module__.split(".")[0] != "torch":
        return "what is around it reads its weights"
    return "it shares its weights" if shared[id(layer.weight)] > 1 else None


def _read_by_parents(module: nn.Module) -> set[int]:
    from torch import nn

    kinds = (nn.TransformerEncoderLayer, nn.MultiheadAttention)
    return {id(part) for parent in module.modules() if isinstance(parent, kinds) for part in parent.modules()}


def _ran(module: nn.Module, row: torch.Tensor) -> dict[nn.Module, tuple[int, int]]:
    """Places read and written of each dense and convolution layer that ran."""
    import torch
    from torch import nn

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    ran: dict[nn.Module, tuple[int, int]] = {}

    def note(layer: Any, given: Any, answer: Any) -> None:
        inputs, outputs = layer.weight.shape[1] * getattr(layer, "groups", 1), layer.weight.shape[0]
        ran[layer] = max(1, given[0].numel() // inputs), max(1, answer.numel() // outputs)

    hooks = [layer.register_forward_hook(note) for layer in module.modules() if isinstance(layer, kinds)]
    try:
        with torch.no_grad():
            module(row)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise TrialFailed(f"the network does not take the training rows: {first_line(error)}") from error
    finally:
        for hook in hooks:
            hook.remove()
    return ran


@dataclass
class Moments:
    """Over all places of all rows of what a layer answered: how many, the sum (out,), the products (out, out)."""

    number: int
    total: Array
    products: Array


def outputs(module: nn.Module, layers: Sequence[Layer], rows: torch.Tensor, batch: int = 256) -> dict[str, Moments]:
    """Moments of what each layer answers to `rows`, as the module takes them."""
    import torch

    found: dict[str, Moments] = {}

    def note(name: str, answer: torch.Tensor) -> None:
        flat = answer.movedim(1, -1) if answer.ndim > 2 and not _is_dense(module.get_submodule(name)) else answer
        y = flat.reshape(-1, flat.shape[-1]).double().numpy()
        seen = found.setdefault(name, Moments(0, np.zeros(y.shape[1]), np.zeros((y.shape[1],) * 2)))
        seen.number, seen.total, seen.products = seen.number + len(y), seen.total + y.sum(0), seen.products + y.T @ y

    hooks = [
        layer.module.register_forward_hook(lambda _, __, answer, name=layer.name: note(name, answer))
        for layer in layers
    ]
    try:
        with torch.no_grad():
            for start in range(0, len(rows), batch):
                module(rows[start : start + batch])
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _is_dense(layer: nn.Module) -> bool:
    from torch import nn

    return isinstance(layer, nn.Linear)


def dense(layer: Any, first: Array, second: Array, bias: Array | None) -> nn.Sequential:
    """`first` (r, in), then `second` (out, r) with `bias` (out,): two dense layers, or two 1x1 convolutions."""
    from torch import nn

    if isinstance(layer, nn.Linear):
        one: nn.Module = nn.Linear(first.shape[1], len(first), bias=False)
        two: nn.Module = nn.Linear(second.shape[1], len(second), bias=bias is not None)
        return nn.Sequential(_filled(one, first, None, layer), _filled(two, second, bias, layer))
    ones = (1,) * (layer.weight.ndim - 2)
    # where the layer strides, so does the first: what the second would skip is never made
    return nn.Sequential(
        convolution(layer, first.reshape(*first.shape, *ones), None, spatial=True),
        convolution(layer, second.reshape(*second.shape, *ones), bias, spatial=False),
    )


def convolution(layer: Any, weight: Array, bias: Array | None, spatial: bool, groups: int = 1) -> nn.Module:
    """A convolution with `weight` (out, in / groups, *kernel). spatial: it moves as `layer` does."""
    kind, kernel = type(layer), weight.shape[2:]
    how: dict[str, Any] = {}
    if spatial:
        how = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "padding_mode")}
    new = kind(weight.shape[1] * groups, len(weight), kernel, groups=groups, bias=bias is not None, **how)
    return _filled(new, weight, bias, layer)


def _filled(new: Any, weight: Array, bias: Array | None, like: Any) -> nn.Module:
    import torch

    new = new.to(like.weight.dtype)
    with torch.no_grad():
        new.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        if bias is not None:
            new.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
    new.requires_grad_(like.weight.requires_grad)
    made: nn.Module = new.train(like.training)
    return made


def replaced(module: nn.Module, chains: dict[str, nn.Module], row: torch.Tensor) -> nn.Module:
    """A copy of `module` with the layers of these names replaced, run once on `row` to see that it still answers."""
    import torch

    with torch.no_grad():
        before = module(row).shape
    less = copied(module)
    for name, chain in chains.items():
        parent, _, child = name.rpartition(".")
        setattr(less.get_submodule(parent), child, chain)
    try:
        with torch.no_grad():
            after = less(row).shape
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise TrialFailed(f"the network does not run with factored layers: {first_line(error)}") from error
    if after != before:
        raise TrialFailed(f"with factored layers the network answers with shape {tuple(after)}, not {tuple(before)}")
    return less
