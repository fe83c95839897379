"""Weights held at zero while a module is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from trimwatt.errors import TrialFailed
from trimwatt.workload import Array

if TYPE_CHECKING:
    import torch
    from torch import nn

Choose = Callable[[dict[str, Array], float], dict[str, Array]]


def layers(module: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of convolutions and dense layers by name, each once."""
    from torch import nn

    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for name, part in module.named_modules():
        if isinstance(part, kinds):
            found.setdefault(id(part.weight), (name, part.weight))
    return dict(found.values())


def input_axes(module: nn.Module) -> dict[str, int]:
    """For each of `layers`, the axis of its weight along which it reads its inputs."""
    from torch import nn

    transposed = nn.modules.conv._ConvTransposeNd
    return {name: 0 if isinstance(module.get_submodule(name), transposed) else 1 for name in layers(module)}


class Masked:
    """Zeroes the weights of a module that `choose` leaves out, and keeps them zero after each step of training.

    choose: masks (True stays) for weights by layer and the share that goes. share: what is to be zero once so much of
    training is done. What was zeroed stays so: later choices see it as zero, and by size it goes first.
    """

    def __init__(self, choose: Choose, share: Callable[[float], float]) -> None:
        self._choose, self._share = choose, share
        self._now: float | None = None
        self._masks: dict[str, torch.Tensor] = {}

    def start(self, module: nn.Module) -> nn.Module:
        """Zero what goes before training (in place)."""
        if not layers(module):
            raise TrialFailed("the module has no convolution or dense layer whose weights could be zeroed")
        self.hold(module, 0.0)
        return module

    def hold(self, module: nn.Module, done: float) -> None:
        """After a step: zero again, and more where it is time for that (in place)."""
        import torch

        weights = layers(module)
        if (share := self._share(done)) != self._now:
            self._now = share
            chosen = self._choose({name: weight.detach().numpy() for name, weight in weights.items()}, share)
            self._masks = {name: torch.from_numpy(np.ascontiguousarray(mask)) for name, mask in chosen.items()}
        with torch.no_grad():
            for name, mask in self._masks.items():
                weights[name].mul_(mask)
