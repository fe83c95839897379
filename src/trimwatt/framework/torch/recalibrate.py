"""Batch normalization's running statistics, estimated anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def recalibrate_(module: nn.Module, rows: torch.Tensor, batch: int = 250) -> None:
    """Set the running mean and variance of each batch normalization to the average over `rows` (in place).

    rows: as the module takes them, at least two a batch; no labels are needed. The module is in evaluation mode
    afterwards.
    """
    import torch
    from torch import nn

    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    layers = [layer for layer in module.modules() if isinstance(layer, kinds) and layer.track_running_stats]
    module.eval()
    if not layers or len(rows) < 2:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for part in torch.chunk(rows, max(1, len(rows) // batch)):
            module(part)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    module.eval()
