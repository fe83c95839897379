"""The contract of a meter: mark twice, read the energy between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from trimwatt.energy import Energy


@dataclass(frozen=True)
class Mark:
    """A moment: monotonic seconds, CPU seconds of the measured process tree, and each sensor's raw state."""

    time_s: float
    cpu_s: float
    state: Any = None


class Meter(Protocol):
    """Reads energy between two marks. A domain that cannot be read is an absent key."""

    @property
    def name(self) -> str: ...

    @property
    def origin(self) -> str:
        """measured | estimated"""
        ...

    def mark(self) -> Mark: ...

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]: ...
