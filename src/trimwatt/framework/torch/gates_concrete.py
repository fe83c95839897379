"""Hard concrete gates on channels: noisy while they learn, shut or open at the end, folded into the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from trimwatt.framework.torch import gates
from trimwatt.framework.torch.groups import Group

BETA, LOW, HIGH = 2 / 3, -0.1, 1.1
OPEN = 3.0
TRAVEL = 12.0


def expected(log_alpha: torch.Tensor) -> torch.Tensor:
    """The probability that each gate is not zero: Louizos et al. 2018, equation (12)."""
    return torch.sigmoid(log_alpha - BETA * math.log(-LOW / HIGH))


def sampled(log_alpha: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Gates in [0, 1] for noise `uniform` in (0, 1): equations (10) and (11)."""
    noise = uniform.log() - (-uniform).log1p()
    return (torch.sigmoid((noise + log_alpha) / BETA) * (HIGH - LOW) + LOW).clamp(0, 1)


def settled(log_alpha: torch.Tensor) -> torch.Tensor:
    """Gates as they are used once learned: equation (13)."""
    return (torch.sigmoid(log_alpha) * (HIGH - LOW) + LOW).clamp(0, 1)


class Gate(nn.Module):
    """The gates of one group. speed: how much faster than other weights the logits move."""

    def __init__(self, channels: int, speed: float, noise: torch.Generator) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.full((channels,), OPEN / speed))
        self.speed, self._noise = speed, noise
        self.fixed: torch.Tensor | None = None
        self.draw()

    @property
    def log_alpha(self) -> torch.Tensor:
        return self.raw * self.speed

    def draw(self) -> None:
        """New noise, the same for all layers that take these channels."""
        size = len(self.raw)
        self.uniform = torch.rand(size, generator=self._noise).clamp(1e-6, 1 - 1e-6)

    def fix(self, kept: torch.Tensor) -> None:
        """Shut all but `kept` for good; the others stay as open as they are, and learn no more."""
        self.fixed = (settled(self.log_alpha.detach()) * kept).detach()
        # one that is to stay must not be shut by rounding alone
        self.fixed = torch.where(kept, self.fixed.clamp_min(0.1), self.fixed)

    def forward(self) -> torch.Tensor:
        if self.fixed is not None:
            return self.fixed
        return sampled(self.log_alpha, self.uniform) if self.training else settled(self.log_alpha)


class Gated(nn.Module):
    """A weight of which each channel that it takes is multiplied by its gate."""

    def __init__(self, gate: Gate, layer: nn.Module, part: Any) -> None:
        super().__init__()
        self.gate, self._part, self._axis = gate, part, gates.axis(layer, part)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        along = gates.spread(self._part, self.gate(), weight.shape[self._axis]).to(weight.dtype)
        return weight * along.reshape([-1 if k == self._axis else 1 for k in range(weight.ndim)])


class HardConcrete:
    """Hooks for `framework.torch.fit` that learn which channels of `found` to shut; `share` of them, in the end.

    speed: see Gate. The expected number of open gates is the penalty; how much it weighs follows from how many are
    shut. After gates.UNTIL of training they are settled, and the rest of it is spent without noise.
    """

    def __init__(self, found: Sequence[Group], share: float, round_to: int, speed: float, seed: int) -> None:
        self._groups, self._share, self._round_to, self._speed = tuple(found), share, round_to, speed
        self._noise = torch.Generator().manual_seed(seed)
        self._weight = 1.0
        self._gates: list[Gate] = []
        self.kept: list[torch.Tensor] = []

    def prepare(self, module: nn.Module) -> nn.Module:
        """Gates before every layer that takes channels (in place)."""
        for group in self._groups:
            gate = Gate(group.channels, self._speed, self._noise)
            self._gates.append(gate)
            for part in group.of("in"):
                layer = module.get_submodule(part.layer)
                parametrize.register_parametrization(layer, "weight", Gated(gate, layer, part))
        return module

    def penalty(self, _: nn.Module) -> torch.Tensor:
        """The share of gates that is expected to be open, weighed; nothing once they are settled."""
        if self.kept:
            return torch.zeros(())
        return self._weight * torch.cat([expected(gate.log_alpha) for gate in self._gates]).mean()

    def after_step(self, module: nn.Module, done: float) -> None:
        """New noise, and the penalty's weight by how many gates are shut; at gates.UNTIL they are settled."""
        if self.kept:
            return
        if done >= gates.UNTIL:
            self.settle()
            return
        with torch.no_grad():
            shut = 1 - float(torch.cat([expected(gate.log_alpha) for gate in self._gates]).mean())
        self._weight *= 1.05 if shut < self._share * done / gates.UNTIL else 1 / 1.05
        for gate in self._gates:
            gate.draw()

    def settle(self) -> list[torch.Tensor]:
        """Which channels of each group stay, (channels,) bool."""
        if not self.kept:
            self.kept = gates.widths([gate.log_alpha.detach() for gate in self._gates], self._share, self._round_to)
            for gate, kept in zip(self._gates, self.kept, strict=True):
                gate.fix(kept)
        return self.kept

    def folded(self, module: nn.Module) -> nn.Module:
        """The module with its gates multiplied into its weights (in place); shut channels have columns of zeros."""
        self.settle()
        for part in module.modules():
            if parametrize.is_parametrized(part, "weight"):
                parametrize.remove_parametrizations(part, "weight")
        return module
