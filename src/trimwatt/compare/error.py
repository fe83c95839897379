"""Random error and model error, apart: the first shrinks with more pairs, the second never does.

What a meter does not know of this host (a scale) cancels in a ratio, but only where both arms used the same mix of
resources: an arm on one core and an arm on four draw different watts a CPU second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trimwatt.compare._base import Block

# busy cores of two arms that differ by less than this are the same mix
_SAME = 0.1

Pair = tuple[Block, Block]


@dataclass(frozen=True)
class ModelError:
    """By which factor the ratio, read as energy, may be off for all pairs alike: `low` to `high`, 1 to 1 if it cancels.

    busy: how many cores each arm kept busy, at least one.
    """

    low: float
    high: float
    cancels: bool
    busy: tuple[float, float]
    why: str

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "busy": list(self.busy)}


def busy_cores(blocks: Sequence[Block]) -> float:
    """How many cores a block kept busy (median), at least one: waiting takes none."""
    return max(1.0, float(np.median([b.cpu_s / b.wall_s for b in blocks if b.wall_s > 0] or [1.0])))


def same_mix(pairs: Sequence[Pair]) -> bool:
    """Whether both arms kept as many cores busy."""
    a, b = (busy_cores([pair[k] for pair in pairs]) for k in (0, 1))
    return abs(math.log(a / b)) <= math.log1p(_SAME)


def model_error(pairs: Sequence[Pair]) -> ModelError | None:
    """What the meter's own bounds do to the ratio of two arms; None where no meter looked."""
    if any(block.energy is None for pair in pairs for block in pair):
        return None
    busy = round(busy_cores([a for a, _ in pairs]), 2), round(busy_cores([b for _, b in pairs]), 2)
    bounds = [(_share(pairs, k, "low"), _share(pairs, k, "high")) for k in (0, 1)]
    if same_mix(pairs):
        ends = [bounds[0][end] / bounds[1][end] for end in (0, 1) if bounds[1][end] > 0]
        # ends that differ by less than a thousandth are one scale on both
        low, high = min([1.0, *ends]), max([1.0, *ends])
        cancels = high / low < 1.001 if low > 0 else False
        why = "both arms kept as many cores busy, so that the meter's scale cancels in their ratio"
        return ModelError(1.0, 1.0, True, busy, why) if cancels else ModelError(low, high, False, busy, _APART)
    (a_low, a_high), (b_low, b_high) = bounds
    high = a_high / b_low if b_low > 0 else math.inf
    why = f"the arms kept {busy[0]:g} and {busy[1]:g} cores busy: the meter's scale does not cancel in their ratio"
    return ModelError(a_low / b_high, high, False, busy, why)


_APART = "the meter knows one arm's share better than the other's: its error does not cancel in their ratio"


def _share(pairs: Sequence[Pair], k: int, end: str) -> float:
    """A bound of an arm's energy over its value."""
    energies = [e for e in (pair[k].energy for pair in pairs) if e is not None]
    whole = sum(e.joules for e in energies)
    return sum(float(getattr(e, end)) for e in energies) / whole if whole > 0 else 1.0
