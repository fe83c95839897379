"""What was asked of a study."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from trimwatt.errors import InputError
from trimwatt.scenario import Scenario
from trimwatt.units import Budget, parse_budget

REFERENCES, REFITS = ("best", "baseline"), ("train+val", "all")


@dataclass(frozen=True)
class Limits:
    """What a recommendation must not exceed: seconds at the median, bytes on disk, bytes of peak memory."""

    latency_s: float | None = None
    size_bytes: float | None = None
    memory_bytes: float | None = None

    def broken(self, latency_s: float | None, size_bytes: int | None, memory_bytes: int | None) -> str | None:
        """Which limit these figures break, or None; a figure that is unknown breaks a limit that is set."""
        pairs = (
            ("latency", latency_s, self.latency_s),
            ("size", size_bytes, self.size_bytes),
            ("memory", memory_bytes, self.memory_bytes),
        )
        broken = [name for name, value, limit in pairs if limit is not None and (value is None or value > limit)]
        return ", ".join(broken) or None


@dataclass(frozen=True)
class Options:
    """Everything that decides what a study does, apart from the data and the model."""

    max_drop: float = 0.01
    floor: float | None = None
    limits: Limits = field(default_factory=Limits)
    budget: Budget = field(default_factory=lambda: parse_budget("10min"))
    scenario: Scenario = field(default_factory=Scenario)
    baseline: str | None = None
    techniques: str = "all"
    seed: int = 0
    strict: bool = False
    bold: bool = False
    reference: str = "best"
    refit: str = "train+val"

    def __post_init__(self) -> None:
        for name, value, allowed in (("reference", self.reference, REFERENCES), ("refit", self.refit, REFITS)):
            if value not in allowed:
                raise InputError(f"{name} is one of {', '.join(allowed)}, got {value!r}")
        if self.strict and self.bold:
            raise InputError("strict takes only what is proven, bold what is not proven too; ask for one of them")
        for name, number in (("max_drop", self.max_drop), ("floor", self.floor)):
            if number is not None and not math.isfinite(number):
                raise InputError(f"{name} is a finite number, got {number:g}; write it like 0.01")
        if self.max_drop < 0 or (self.max_drop >= 1 and self.floor is None):
            meant = self.max_drop / 100
            raise InputError(
                f"max_drop is a share of 1 (0.01: a point), got {self.max_drop:g}; did you mean {meant:g}?"
            )

    @property
    def seeks_reference(self) -> bool:
        """Whether the strongest model is to set the floor; one that was named is set by none."""
        return self.reference == "best" and self.floor is None

    def identity(self) -> dict[str, Any]:
        """What must be equal for a study to be resumed; the budget may grow, the choice be strict or bold."""
        free = ("budget", "strict", "bold", "refit")
        return {name: value for name, value in asdict(self).items() if name not in free}
