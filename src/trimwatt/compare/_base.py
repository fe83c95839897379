"""The contract of an arm: something that answers requests, and says what a block of them took."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from trimwatt.energy import Energy


@dataclass(frozen=True)
class Block:
    """`requests` requests, answered one after the other.

    cpu_s: CPU seconds of the serving process. wall_s: seconds. energy: dynamic energy of that process, None where no
    meter looked. gross: with the idle share by wall time included. load: machine load average when it ended.
    """

    cpu_s: float
    wall_s: float
    requests: int
    energy: Energy | None = None
    gross: Energy | None = None
    load: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Arm(Protocol):
    """One side of a comparison. The process that serves it lives until the comparison is over."""

    @property
    def name(self) -> str: ...

    def run(self, count: int) -> Block:
        """Answer `count` >= 1 requests and say what they took."""
        ...

    def pin(self, cores: frozenset[int]) -> bool:
        """Keep every thread on `cores`; False where this platform cannot."""
        ...
