"""Dense layers fitted anew to what they answered before something in front of them was removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt.technique.prune import _surgeon
from trimwatt.workload import Array

if TYPE_CHECKING:
    import torch
    from torch import nn

_MOST, _BATCH = 20000, 64


@dataclass(frozen=True, eq=False)
class Flow:
    """What goes into a dense layer, (places, in), and comes out, (places, out); places: which of all, as indices."""

    given: Array
    answer: Array
    places: Array


class _EnoughError(Exception):
    """Nothing behind this layer is needed."""


def flows(module: nn.Module, layers: Iterable[str], rows: torch.Tensor) -> dict[str, Flow]:
    """For each dense layer named, what passes it where the network's answer depends on it.

    Places that nothing reads, such as those behind the end of a text, would spoil a fit; their slope is zero.
    """
    import torch
    from torch import nn

    from trimwatt.framework.torch.copying import copied

    module = copied(module).eval().requires_grad_(True)
    seen: dict[str, list[tuple[Any, Any]]] = {}

    def watch(name: str) -> Any:
        def look(_: Any, given: Any, answer: Any) -> None:
            answer.retain_grad()
            seen.setdefault(name, []).append((given[0].detach(), answer))

        return look

    names = [name for name in layers if isinstance(module.get_submodule(name), nn.Linear)]
    handles = [module.get_submodule(name).register_forward_hook(watch(name)) for name in names]
    parts: dict[str, list[tuple[Array, Array, Array]]] = {name: [] for name in names}
    try:
        for some in rows.split(_BATCH):
            with torch.enable_grad():
                module(some).square().sum().backward()
            for name in names:
                parts[name] += [_noted(*pair) for pair in seen.pop(name, [])]
    finally:
        for handle in handles:
            handle.remove()
    return {name: _joined(found) for name, found in parts.items() if found}


def _noted(given: torch.Tensor, answer: torch.Tensor) -> tuple[Array, Array, Array]:
    slope = answer.grad
    flat = answer.detach().reshape(-1, answer.shape[-1])
    read = np.ones(len(flat), bool) if slope is None else slope.reshape(flat.shape).ne(0).any(1).numpy()
    return _flat(given), np.asarray(flat.numpy()), np.asarray(read)


def _joined(parts: list[tuple[Array, Array, Array]]) -> Flow:
    given, answer, read = (np.concatenate(column) for column in zip(*parts, strict=True))
    places = np.flatnonzero(read)
    places = places[:: max(1, -(-len(places) // _MOST))]
    return Flow(given[places], answer[places], places)


def _flat(value: torch.Tensor) -> Array:
    return np.asarray(value.detach().reshape(-1, value.shape[-1]).numpy())


def given(module: nn.Module, name: str, rows: torch.Tensor, places: Array) -> Array:
    """What goes into a dense layer at `places`, as `flows` counts them."""
    import torch

    found: list[Array] = []

    def look(_: Any, inputs: Any) -> None:
        found.append(_flat(inputs[0]))
        raise _EnoughError

    handle = module.get_submodule(name).register_forward_pre_hook(look)
    try:
        with torch.no_grad():
            for some in rows.split(_BATCH):
                try:
                    module(some)
                except _EnoughError:
                    continue
    finally:
        handle.remove()
    return np.asarray(np.concatenate(found)[places])


def refit_(module: nn.Module, name: str, flow: Flow, rows: torch.Tensor) -> None:
    """Let a dense layer answer `rows` as `flow` says it did, by least squares on what it is given now (in place)."""
    layer: Any = module.get_submodule(name)
    act = given(module, name, rows, flow.places).astype(np.float64)
    if len(act) <= act.shape[1]:
        return
    start = layer.weight.detach().double().numpy().T
    weight, bias = _surgeon.refit(act, flow.answer.astype(np.float64), start, layer.bias is not None)
    _set(layer.weight, weight.T)
    if layer.bias is not None:
        _set(layer.bias, bias)


def _set(parameter: torch.Tensor, content: Array) -> None:
    import torch

    parameter.data = torch.from_numpy(np.ascontiguousarray(content)).to(parameter.dtype)
