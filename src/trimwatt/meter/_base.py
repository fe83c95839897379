"""The contract of a meter: mark twice, read the energy between; and what a look for sensors found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from trimwatt.energy import Energy


@dataclass(frozen=True)
class Mark:
    """A moment: monotonic seconds, CPU seconds of the measured process tree, and each sensor's raw state."""

    time_s: float
    cpu_s: float
    state: Any = None


class Meter(Protocol):
    """Reads energy between two marks. A domain that cannot be read is an absent key.

    A meter may also have, and what it has not is not asked for:
    resolution_s: float                 the shortest window, in seconds, that it resolves; shorter ones are refused
    warnings(a, b) -> tuple[str, ...]   what a reader of that window must know
    zones, closed                       counters read so far (each with `.domain`); domains that never could be
    shares(a, b, pids) -> {domain: (least, likely, most)}   which share of an accelerator these processes used
    idle_w(domain) -> float | None      watts of an accelerator without work, where that is known
    dynamic_energy(cpu_s), idle_energy(duration_s, threads, memory) -> Energy   of a model: what work and waiting take
    """

    @property
    def name(self) -> str: ...

    @property
    def origin(self) -> str:
        """measured | estimated"""
        ...

    def mark(self) -> Mark: ...

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]: ...


ProbeState = Literal["ready", "closed", "absent", "untested"]


@dataclass(frozen=True)
class Probe:
    """What a look at one place where a sensor may be found there. Each sensor's file has `probe()`, which gives these.

    state: "ready" it can be read now; "closed" it is there and this user may not read it; "absent" it is not there;
    "untested" it is there, and whether it works is known only by using it. detail: what was seen, and why. fix: what
    opens it, as a command or a sentence; empty where nothing helps or nothing is needed.
    """

    sensor: str
    path: str
    state: ProbeState
    detail: str = ""
    fix: str = ""
