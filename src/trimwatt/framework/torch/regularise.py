"""Dropout and mixup for networks that come without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt.errors import TrialFailed
from trimwatt.framework.torch.heads import heads
from trimwatt.framework.torch.hooks import Batch, Hooks

if TYPE_CHECKING:
    import torch
    from torch import nn


@contextmanager
def dropping(module: nn.Module, share: float | None, rows: torch.Tensor) -> Iterator[None]:
    """Inside, the module in training drops `share` of what its dropout layers are given; afterwards it is as before.

    Where it has no such layer, of what the layers that give its answer are given. None leaves it as it is. rows: a few,
    as the module takes them. Raises TrialFailed where no layer gives the answer. Srivastava et al. 2014.
    """
    from torch import nn

    if share is None:
        yield
        return
    # the ancestor of all of PyTorch's dropout layers has no public name
    layers = [layer for layer in module.modules() if isinstance(layer, nn.modules.dropout._DropoutNd)]
    before = [layer.p for layer in layers]
    for layer in layers:
        layer.p = share
    handles = [] if layers else _before_heads(module, share, rows)
    try:
        yield
    finally:
        for layer, p in zip(layers, before, strict=True):
            layer.p = p
        for handle in handles:
            handle.remove()


def _before_heads(module: nn.Module, share: float, rows: torch.Tensor) -> list[Any]:
    import torch
    from torch.nn import functional

    def drop(layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (functional.dropout(given[0], share, layer.training), *given[1:])

    training = module.training
    module.eval()
    with torch.no_grad():
        columns = module(rows[:1]).numel()
    found = heads(module, rows, columns)
    module.train(training)
    if not found:
        raise TrialFailed("dropout has no place: no dense or convolution layer gives the answer; say dropout=None")
    return [layer.register_forward_pre_hook(drop) for layer in found]


def check_mixup(alpha: float, rows: torch.Tensor, hooks: Hooks) -> None:
    """Refuse what cannot be mixed: whole numbers that are no pixels, and a loss that looks rows up."""
    import torch

    if not alpha:
        return
    if not (rows.is_floating_point() or rows.dtype == torch.uint8):
        kind = str(rows.dtype).removeprefix("torch.")
        raise TrialFailed(f"mixup averages rows, and {kind} rows may be codes; say mixup=0, or prepare them as float32")
    if hooks.loss is not None:
        raise TrialFailed("mixup needs the workload's own loss, and this technique brings another; say mixup=0")


def mixed(batch: Batch, alpha: float, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, float]:
    """(rows, other targets, share): each row `share` of its own and the rest of another's, whose target is told.

    The share is drawn from Beta(alpha, alpha) for the whole batch (Zhang et al. 2018, arXiv:1710.09412).
    """
    import torch

    share = float(random.beta(alpha, alpha))
    order = torch.from_numpy(random.permutation(len(batch.x)))
    rows = share * batch.x + (1 - share) * batch.x[order]
    if not batch.x.is_floating_point():
        rows = rows.round()
    return rows.to(batch.x.dtype), batch.y[order], share
