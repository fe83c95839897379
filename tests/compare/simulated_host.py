"""A host whose clock is noise of known kind: what the comparer is tried on where the truth must be known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trimwatt.compare._base import Block

Noise = Callable[[int], float]


class Host:
    """Cores that are each slow for a while, in episodes of 5 to 20 pairs at +-15 %, as seen on real machines."""

    def __init__(self, seed: int, episodes: bool = True, spikes: float = 0.05, sigma: float = 0.02) -> None:
        self.rng = np.random.default_rng(seed)
        self.episodes, self.spikes, self.sigma = episodes, spikes, sigma
        self.speed, self.left = [1.0, 1.0], [0, 0]

    def factor(self, core: int) -> float:
        """How much longer a block takes on `core` now."""
        for c in (0, 1):
            self.left[c] -= 1
            if self.episodes and self.left[c] <= 0:
                slow = self.rng.random() < 0.3
                self.speed[c] = float(np.exp(self.rng.normal(0, 0.15))) if slow else 1.0
                self.left[c] = int(self.rng.integers(10, 40))
        spike = 1.5 if self.rng.random() < self.spikes else 1.0
        return self.speed[core] * spike * float(np.exp(self.rng.normal(0, self.sigma)))


class SimulatedArm:
    """An arm whose request takes `cost_s` CPU seconds on a quiet core."""

    def __init__(self, host: Host, cost_s: float = 1e-4, name: str = "arm", home: int | None = None) -> None:
        self.host, self.cost_s, self.name = host, cost_s, name
        self.home = home
        self.core = 0 if home is None else home
        self.ran: list[int] = []

    def run(self, count: int) -> Block:
        self.ran.append(count)
        seconds = count * self.cost_s * self.host.factor(self.core)
        return Block(seconds, seconds * 1.1, count, load=0.0)

    def pin(self, cores: frozenset[int]) -> bool:
        """Goes where it is sent, unless it has a home of its own: then as on a platform without affinity."""
        if self.home is not None:
            return False
        self.core = min(cores)
        return True
