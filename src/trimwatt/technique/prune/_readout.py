"""Dense layers fitted anew to what they answered before something in front of them was removed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt.technique.prune import _surgeon
from trimwatt.workload import Array

if TYPE_CHECKING:
    import torch
    from torch import nn

_MOST = 20000


def refit_(module: nn.Module, before: nn.Module, layers: Iterable[str], rows: torch.Tensor) -> None:
    """Let the dense layers named answer `rows` as those of `before` did, by least squares (in place)."""
    from torch import nn

    for name in sorted(layers):
        layer: Any = module.get_submodule(name)
        if not isinstance(layer, nn.Linear):
            continue
        given, _ = flows(module, name, rows)
        _, target = flows(before, name, rows)
        if len(given) <= given.shape[1]:
            continue
        start = layer.weight.detach().double().numpy().T
        weight, bias = _surgeon.refit(given, target, start, layer.bias is not None)
        _set(layer.weight, weight.T)
        if layer.bias is not None:
            _set(layer.bias, bias)


def flows(module: nn.Module, name: str, rows: torch.Tensor) -> tuple[Array, Array]:
    """What goes into a dense layer and what comes out, for up to some thousand of all places: (places, features)."""
    import torch

    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    layer = module.get_submodule(name)
    handle = layer.register_forward_hook(lambda _, given, answer: seen.append((given[0], answer)))
    try:
        with torch.no_grad():
            for part in rows.split(64):
                module(part)
    finally:
        handle.remove()
    given, answers = (np.concatenate([_flat(pair[side]) for pair in seen]) for side in (0, 1))
    step = max(1, -(-len(given) // _MOST))
    return given[::step], answers[::step]


def _flat(value: torch.Tensor) -> Array:
    return np.asarray(value.reshape(-1, value.shape[-1]).double().numpy())


def _set(parameter: torch.Tensor, content: Array) -> None:
    import torch

    parameter.data = torch.from_numpy(np.ascontiguousarray(content)).to(parameter.dtype)
