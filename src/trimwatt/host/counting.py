"""CPU seconds of a process and of all that it starts, waited for or not: the best way that this system allows.

Each way sees only what descends from the process, so none counts too much; where two are to be had the greater is
right. A process that another service starts on request (a container's daemon, an init system) is no descendant.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

# in the order in which they are tried; tests and benchmarks switch the better ones off
WAYS: tuple[str, ...] = ("cgroup", "task-clock", "polling")
POLL_S = 0.01
# how long work that a call has started and left is waited for
SETTLE_S = 10.0


class Keeping(NamedTuple):
    """How a process of ours is kept: the ways of counting to try, and how long its work may go on after a call."""

    ways: tuple[str, ...]
    settle_s: float


def keeping() -> Keeping | None:
    """As processes are to be kept from here; None where this system cannot."""
    return Keeping(WAYS, SETTLE_S) if sys.platform == "linux" else None


class Counter(Protocol):
    """Counts the process that opened it, and every process started by it from then on."""

    @property
    def way(self) -> str: ...

    @property
    def every_s(self) -> float | None:
        """How often `look` must be called, None where it need not."""
        ...

    def total_s(self) -> float:
        """CPU seconds since it was opened; called by the process that opened it, with one thread at work."""
        ...

    def look(self) -> None:
        """See the processes that run now."""
        ...

    def reaped(self, pid: int, used_s: float) -> None:
        """A child was waited for: `used_s` is its account, with all that it had waited for."""
        ...

    def missing(self) -> str:
        """Why the total may be too low; "" where nothing speaks for that."""
        ...

    def close(self) -> None: ...


def open_counter(ways: Sequence[str] | None = None) -> Counter:
    """Count this process from now on, by the first of `ways` that can be had here; those children it has are not seen.

    To be called before any thread or process is started.
    """
    for way in WAYS if ways is None else ways:
        try:
            return _OPEN[way]()
        except OSError:
            continue
    return Waited()


def _group() -> Counter:
    from trimwatt.host.group import GroupCounter

    return GroupCounter()


def _task_clock() -> Counter:
    from trimwatt.host.task_clock import TaskClock

    return TaskClock()


def _polled() -> Counter:
    from trimwatt.host.polling import Polled

    if sys.platform != "linux":
        raise OSError("no /proc to look at")
    return Polled(os.getpid(), POLL_S)


_OPEN: dict[str, Callable[[], Counter]] = {"cgroup": _group, "task-clock": _task_clock, "polling": _polled}


class Plain:
    """What a counter need not do where the kernel keeps the account."""

    every_s: float | None = None

    def look(self) -> None:
        """Nothing: the kernel sees every process."""

    def reaped(self, pid: int, used_s: float) -> None:
        """Nothing: it is in the kernel's total."""

    def missing(self) -> str:
        """Nothing can be missed."""
        return ""


class Waited(Plain):
    """Where the system offers none of the ways: this process and what it waited for, as getrusage has it."""

    way = "waited"

    def __init__(self) -> None:
        self._start_s = self._now_s()

    def total_s(self) -> float:
        return self._now_s() - self._start_s

    def _now_s(self) -> float:
        return time.process_time() + waited_s()

    def close(self) -> None:
        """Nothing is held."""


def waited_s() -> float:
    """CPU seconds of the children this process has waited for, to the microsecond; 0 where there is no account."""
    try:
        import resource
    except ImportError:
        return 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
