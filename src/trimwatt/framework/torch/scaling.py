"""Give a module that learned standardised values its answers in the target's own unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimwatt.framework.torch.copying import copied
from trimwatt.framework.torch.heads import heads

if TYPE_CHECKING:
    import torch
    from torch import nn


def unscaled(module: nn.Module, scale: tuple[float, float], rows: torch.Tensor) -> nn.Module:
    """The module with answers times spread plus mean, folded into its last dense layer where that is exact.

    scale: (mean, spread). rows: what the folding is checked on. A module that does not end in a dense layer gets one
    more layer.
    """
    import torch
    from torch import nn

    mean, spread = scale
    with torch.no_grad():
        expected = module(rows).reshape(len(rows), -1) * spread + mean
        folded = _folded(module, mean, spread, rows)
        if folded is not None and torch.allclose(folded(rows).reshape(len(rows), -1), expected, rtol=1e-4):
            return folded
        last = nn.Linear(1, 1)
        last.weight.fill_(spread)
        last.bias.fill_(mean)
    return nn.Sequential(module, nn.Flatten(), last).eval()


def _folded(module: nn.Module, mean: float, spread: float, rows: torch.Tensor) -> nn.Module | None:
    from torch import nn

    changed = copied(module)
    dense = [layer for layer in heads(changed, rows, 1) if isinstance(layer, nn.Linear)]
    if len(dense) != 1 or dense[0].bias is None:
        return None
    dense[0].weight.data.mul_(spread)
    dense[0].bias.data.mul_(spread).add_(mean)
    return changed
