"""Residual blocks: found by how they compute, taken out whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimwatt.framework.torch.copying import copied

if TYPE_CHECKING:
    import torch
    from torch import nn

# what may stand between a block's answer and its input: the addition, activations, the norm of a transformer's layer
_PASSES = ("NativeLayerNorm", "Add", "Relu", "LeakyRelu", "Gelu", "Silu", "Clamp", "Hardtanh", "Clone", "Alias")


def residual_blocks(module: nn.Module, rows: torch.Tensor) -> list[str]:
    """Names of the blocks whose answer is their input plus something, and which can be skipped: the innermost ones.

    rows: a few rows as the module takes them. A block that changes the shape, or that runs more than once, is none.
    """
    import torch

    found: dict[str, list[bool]] = {}
    starts: dict[str, list[Any]] = {}

    def enter(name: str, given: tuple[Any, ...]) -> None:
        starts.setdefault(name, []).append(given[0] if len(given) == 1 else None)

    def leave(name: str, answer: Any) -> None:
        found.setdefault(name, []).append(_adds_to(starts[name].pop(), answer))

    hooks = []
    for name, part in module.named_modules():
        if name and any(part.children()):
            hooks.append(part.register_forward_pre_hook(lambda _, given, name=name: enter(name, given)))
            hooks.append(part.register_forward_hook(lambda _, __, answer, name=name: leave(name, answer)))
    try:
        with torch.enable_grad():
            module(rows)
    finally:
        for hook in hooks:
            hook.remove()
    names = [name for name, verdicts in found.items() if verdicts == [True]]
    return [name for name in names if not any(other.startswith(f"{name}.") for other in names)]


def _adds_to(given: Any, answer: Any) -> bool:
    """Whether `answer` is reached from `given` by additions and activations alone."""
    import torch

    if not (isinstance(given, torch.Tensor) and isinstance(answer, torch.Tensor)):
        return False
    if given.shape != answer.shape or given.grad_fn is None or given.grad_fn is answer.grad_fn:
        return False
    waiting: list[Any] = [answer.grad_fn]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is given.grad_fn:
            return bool(seen)
        if node is None or node in seen or not node.name().startswith(_PASSES):
            continue
        seen.add(node)
        waiting += [before for before, _ in node.next_functions]
    return False


def without(module: nn.Module, names: list[str], rows: torch.Tensor) -> nn.Module | None:
    """A copy of `module` without the blocks `names`; None where it does not run on `rows` then.

    An entry of a chain is deleted, any other block hands on its input; an entry of a list is deleted where a block
    that hands on its input will not do.
    """
    import torch

    for shorten_lists in (False, True):
        less = copied(module)
        _take_out_(less, names, shorten_lists)
        try:
            with torch.no_grad():
                less(rows)
        except (RuntimeError, TypeError, AttributeError, IndexError, ValueError):
            continue
        return less
    return None


def _take_out_(module: nn.Module, names: list[str], shorten_lists: bool) -> None:
    from torch import nn

    short = (nn.Sequential, nn.ModuleList) if shorten_lists else (nn.Sequential,)
    # from the back, since deleting an entry of a chain renumbers those behind it
    for name in sorted(names, key=lambda name: [part.zfill(6) for part in name.split(".")], reverse=True):
        parent_name, _, child = name.rpartition(".")
        parent = module.get_submodule(parent_name)
        if isinstance(parent, short) and len(parent) > 1:
            del parent[list(parent._modules).index(child)]
        else:
            setattr(parent, child, nn.Identity())
