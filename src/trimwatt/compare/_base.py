"""The contract of an arm: something that answers requests, and says what a block of them took."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from trimwatt.energy import Energy


@dataclass(frozen=True)
class Block:
    """`requests` requests, answered one after the other.

    cpu_s: CPU seconds of the serving process and of all that it started, waited for or not. wall_s: seconds.
    counted: how those others were counted, None where there were none. uncounted: what could not be.
    energy: dynamic energy of all these processes, None where no meter looked. gross: with the idle share by wall time
    included.
    What the machine was like: load average when it ended, mean clock of its cores in Hz, seconds of them that went to
    other machines meanwhile, the cores it was kept on (None where it could not be), and its place in its round's order.
    """

    cpu_s: float
    wall_s: float
    requests: int
    energy: Energy | None = None
    gross: Energy | None = None
    load: float | None = None
    frequency_hz: float | None = None
    steal_s: float | None = None
    cores: tuple[int, ...] | None = None
    place: int | None = None
    counted: str | None = None
    uncounted: str | None = None

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


@runtime_checkable
class Renewable(Protocol):
    """An arm that can go on in a fresh process, since two processes of one model differ for as long as they live."""

    def renew(self) -> bool:
        """Go on in a fresh process; whether it must be warmed up again. The cores it was kept on may be forgotten."""
        ...
