"""How a comparison is done: sizes, looks, and when to stop."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from trimwatt.errors import InputError

# from so many pairs on the level was checked; fewer are reported at the higher one
_TRUSTED = 20


@dataclass(frozen=True)
class Plan:
    """The protocol of a comparison; the defaults are what its error rates were checked with.

    block_s: CPU seconds of one block, at least. threads: cores both arms of a pair are kept on. cores: those they may
    be drawn from, None for all this process may use.
    Warm-up: blocks are dropped until the mean of the last `warm_window` is within `warm_within` of that of as many
    before, at least `warm_least`, at most `warm_most`; after `warm_s` seconds of wall time the least are enough.
    Early looks (screening only): after each of `early_looks` pairs at `early_level`, stop when the whole interval lies
    beyond `early_factor`, either way. Looks: from `least_pairs`, every `look_every`; stop when the half-width is below
    `half_width` or the interval excludes 1 by more than half of `minimum_effect`; at `most_pairs`, or once `most_s`
    seconds have passed, stop anyway.
    level: nominal coverage at the looks, reported as at least 95 %. most_j: joules after which to stop as well.
    sitting: pairs after which arms that can be are opened again in fresh processes, and warmed up again; None keeps
    them. From four sittings on the interval is at least as wide as the sittings differ.
    """

    block_s: float = 0.02
    threads: int = 1
    cores: frozenset[int] | None = None
    warm_least: int = 3
    warm_most: int = 20
    warm_window: int = 5
    warm_within: float = 0.02
    warm_s: float = 5.0
    early_looks: tuple[int, ...] = (6, 10, 15)
    early_level: float = 0.998
    early_factor: float = 1.5
    least_pairs: int = 20
    look_every: int = 5
    most_pairs: int = 40
    level: float = 0.98
    half_width: float = 0.02
    minimum_effect: float = 0.02
    most_s: float = field(default=math.inf)
    most_j: float = field(default=math.inf)
    sitting: int | None = None

    def __post_init__(self) -> None:
        if not self.block_s > 0:
            raise InputError(f"block_s is CPU seconds above zero, got {self.block_s}; the default is 0.02")
        if not 5 <= self.least_pairs <= self.most_pairs:
            raise InputError(
                f"pairs run from at least 5 up to most_pairs, got {self.least_pairs} and {self.most_pairs}"
            )
        if self.sitting is not None and self.sitting < 2:
            raise InputError(f"a sitting holds at least 2 pairs, got {self.sitting}; None never opens arms again")
        if any(look < 5 for look in self.early_looks):
            raise InputError(f"an early look needs at least 5 pairs, got {self.early_looks}")

    def looks_at(self, pairs: int) -> bool:
        """Whether the evidence is weighed after this many pairs."""
        return pairs >= self.least_pairs and (pairs - self.least_pairs) % self.look_every == 0

    def reported(self, pairs: int) -> float:
        """The level at which an interval from so many pairs is reported: a higher one below 20."""
        return self.level if pairs >= _TRUSTED else self.early_level

    def to_dict(self) -> dict[str, Any]:
        cores = None if self.cores is None else sorted(self.cores)
        most = {name: None if math.isinf(value) else value for name, value in
                (("most_s", self.most_s), ("most_j", self.most_j))}  # fmt: skip
        return {**asdict(self), "cores": cores, **most}
