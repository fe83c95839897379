"""Which layers give a module's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def heads(module: nn.Module, rows: torch.Tensor, columns: int) -> list[nn.Module]:
    """The dense or convolution layers that no other such layer follows on the way to the answer.

    rows: a few rows as the module takes them. columns: numbers the module gives a row; where the way back cannot be
    followed, the layer that ran last and gives as many is taken.
    """
    import torch
    from torch import nn

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    made: dict[Any, nn.Module] = {}
    ran: list[nn.Module] = []

    def note(layer: nn.Module, _: Any, answer: torch.Tensor) -> None:
        ran.append(layer)
        made[answer.grad_fn] = layer

    hooks = [layer.register_forward_hook(note) for layer in module.modules() if isinstance(layer, kinds)]
    try:
        with torch.enable_grad():
            answer = module(rows)
    finally:
        for hook in hooks:
            hook.remove()
    found = _behind(answer.grad_fn, made)
    return found or [layer for layer in ran if _width(layer) == columns][-1:]


def _behind(start: Any, made: dict[Any, nn.Module]) -> list[nn.Module]:
    """The first layers met on every way back from the answer."""
    found: list[nn.Module] = []
    seen, waiting = set(), [start]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in made:
            found.append(made[node])
        else:
            waiting += [before for before, _ in node.next_functions]
    return list(dict.fromkeys(found))


def _width(layer: nn.Module) -> int:
    return int(getattr(layer, "out_features", getattr(layer, "out_channels", 0)))
