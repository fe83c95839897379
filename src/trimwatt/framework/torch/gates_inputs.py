"""Inputs that a network need not see. A file of its own, so that its objects travel between processes."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn


class Select(nn.Module):
    """Of the last axis only the entries `index`."""

    index: torch.Tensor

    def __init__(self, index: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("index", index)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.index_select(-1, self.index)


def first_dense(module: nn.Module, row: torch.Tensor) -> str | None:
    """The name of the dense layer that alone reads the inputs; None where something else computes before it."""
    order: list[str] = []

    def note(name: str) -> None:
        order.append(name)

    leaves = {name: part for name, part in module.named_modules() if not any(part.children())}
    passes = (nn.Flatten, nn.Identity, nn.Dropout)
    hooks = [
        part.register_forward_hook(lambda *_, name=name: note(name))
        for name, part in leaves.items()
        if not isinstance(part, passes)
    ]
    try:
        with torch.no_grad():
            module(row)
    finally:
        for hook in hooks:
            hook.remove()
    name = order[0] if order else ""
    first = leaves.get(name)
    if not isinstance(first, nn.Linear) or order.count(name) != 1 or first.in_features != row[0].numel():
        return None
    return name


def dropped_(module: nn.Module, name: str, kept: torch.Tensor) -> nn.Module:
    """Let the dense layer `name` see the inputs `kept` (inputs,) only (in place)."""
    parent, _, child = name.rpartition(".")
    old, index = cast(nn.Linear, module.get_submodule(name)), kept.nonzero()[:, 0]
    new = nn.Linear(len(index), old.out_features, old.bias is not None).to(old.weight.dtype)
    with torch.no_grad():
        new.weight.copy_(old.weight[:, index])
        if old.bias is not None:
            new.bias.copy_(old.bias)
    chain = nn.Sequential(Select(index), new).eval()
    if not name:
        return chain
    setattr(module.get_submodule(parent), child, chain)
    return module


def without_(module: nn.Module, name: str, kept: torch.Tensor, mean: torch.Tensor) -> nn.Module:
    """Let the dense layer `name` take the inputs at `kept` alone; the others are at `mean` (inputs,) ever after
    (in place).

    Unlike `dropped_` it takes rows that hold no others.
    """
    old = cast(nn.Linear, module.get_submodule(name))
    new = nn.Linear(len(kept), old.out_features).to(old.weight.dtype)
    with torch.no_grad():
        rest = mean.clone()
        rest[kept] = 0
        new.weight.copy_(old.weight[:, kept])
        new.bias.copy_(old.weight @ rest + (0 if old.bias is None else old.bias))
    if not name:
        return new.eval()
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, new.eval())
    return module
