"""Training at a fixed number of weights, which move to where they are wanted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trimwatt.framework.torch.masks import layers

if TYPE_CHECKING:
    import torch
    from torch import nn

UNTIL = 0.75


class Rewired:
    """Hooks for `framework.torch.fit`: each layer keeps as many weights as at the start, the smallest are exchanged.

    density: share of all weights that is not zero. every: steps between exchanges. fraction: of a layer's weights
    that the first exchange moves; it falls to none by half a cosine at UNTIL of training. Those come to life, at zero,
    whose gradient is largest (Evci et al. 2020).
    """

    def __init__(self, density: float, every: int, fraction: float) -> None:
        self._density, self._every, self._fraction = density, every, fraction
        self._step = 0
        self.masks: dict[str, torch.Tensor] = {}

    def prepare(self, module: nn.Module) -> nn.Module:
        """Keep the largest weights of each layer (in place)."""
        weights = layers(module)
        for (name, weight), share in zip(weights.items(), densities(weights, self._density), strict=True):
            self.masks[name] = _largest(weight.detach().abs(), max(1, round(share * weight.numel())))
        self.hold(module)
        return module

    def after_step(self, module: nn.Module, done: float) -> None:
        """Zero what must be, and every so often exchange."""
        self._step += 1
        if self._step % self._every == 0 and done < UNTIL:
            fraction = self._fraction * (1 + math.cos(math.pi * done / UNTIL)) / 2
            for name, weight in layers(module).items():
                if weight.grad is not None:
                    self.masks[name] = exchanged(weight.detach(), weight.grad, self.masks[name], fraction)
        self.hold(module)

    def hold(self, module: nn.Module) -> None:
        """Zero all weights that are not alive (in place)."""
        import torch

        with torch.no_grad():
            for name, weight in layers(module).items():
                weight.mul_(self.masks[name])


def densities(weights: dict[str, torch.Tensor], density: float) -> list[float]:
    """The share of each layer's weights, so that all together are `density`: small layers are left denser.

    In proportion to (sum of sides) / (product of sides), at most 1: Mocanu et al. 2018, Evci et al. 2020.
    """
    sizes = [weight.numel() for weight in weights.values()]
    raw = [sum(weight.shape) / weight.numel() for weight in weights.values()]
    full: set[int] = set()
    while True:
        room = density * sum(sizes) - sum(sizes[i] for i in full)
        rest = sum(raw[i] * sizes[i] for i in range(len(sizes)) if i not in full)
        factor = max(room, 0) / rest if rest else 0.0
        more = {i for i in range(len(sizes)) if i not in full and factor * raw[i] > 1}
        if not more:
            return [1.0 if i in full else factor * raw[i] for i in range(len(sizes))]
        full |= more


def exchanged(weight: torch.Tensor, gradient: torch.Tensor, alive: torch.Tensor, fraction: float) -> torch.Tensor:
    """The mask with `fraction` of those alive, the smallest, replaced by as many others of the largest gradients."""
    number = int(fraction * int(alive.sum()))
    number = min(number, int((~alive).sum()))
    if number == 0:
        return alive
    small = weight.abs().masked_fill(~alive, math.inf).flatten().argsort(stable=True)[:number]
    wanted = gradient.abs().masked_fill(alive, -1.0).flatten().argsort(descending=True, stable=True)[:number]
    new = alive.clone().flatten()
    new[small], new[wanted] = False, True
    return new.view_as(alive)


def _largest(size: torch.Tensor, number: int) -> torch.Tensor:
    import torch

    mask = torch.zeros(size.numel(), dtype=torch.bool)
    mask[size.flatten().argsort(descending=True, stable=True)[:number]] = True
    return mask.view_as(size)
