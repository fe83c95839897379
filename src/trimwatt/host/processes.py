"""Processes as Linux tells of them: children, CPU clocks, states. Elsewhere nothing is seen."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Stat:
    """A line of /proc/PID/stat. waited_s: CPU seconds of children it waited for, in ticks of 10 ms.

    started: clock ticks since boot, which tells a process from a later one of the same number.
    """

    pid: int
    parent: int
    state: str
    used_s: float
    waited_s: float
    started: int


def read(pid: int) -> Stat | None:
    """What the system tells of a process; None once it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    user, system, child_user, child_system = (int(field) / _TICKS_PER_S for field in fields[11:15])
    return Stat(pid, int(fields[1]), fields[0], user + system, child_user + child_system, int(fields[19]))


def children(pid: int) -> list[int]:
    """The children of a process, living or not yet waited for."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def descendants(pid: int) -> Iterator[int]:
    """All below a process, from the top down: listing every process of the machine takes ten times as long."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def cpu_s(pid: int) -> float | None:
    """CPU seconds of a process itself, to the nanosecond; None once it was waited for."""
    try:
        # the clock id of another process, as clock_getcpuclockid makes it
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def whole_s(pid: int) -> float:
    """CPU seconds of a process and of all that it has waited for; 0 once it is gone."""
    stat = read(pid)
    return 0.0 if stat is None else (cpu_s(pid) or stat.used_s) + stat.waited_s


def running(pid: int) -> bool:
    """Whether a process still runs: it is there, and no zombie."""
    found = read(pid)
    return found is not None and found.state not in "ZX"


def at_work(pid: int) -> bool:
    """Whether a thread of a process runs, or waits for a disk."""
    with contextlib.suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                if (task / "stat").read_text().rpartition(")")[2].split()[0] in "RD":
                    return True
    return False


def ignores_children(pid: int) -> bool:
    """Whether a process ignores SIGCHLD: its children then vanish without an account."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        status = (PROC / str(pid) / "status").read_text()
        ignored = int(status.partition("SigIgn:")[2].split(None, 1)[0], 16)
        return bool(ignored >> (signal.SIGCHLD - 1) & 1)
    return False


def name(pid: int) -> str:
    """What a process calls itself, its number where it is gone."""
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "comm").read_text().strip()
    return f"process {pid}"


def names(pids: list[int]) -> str:
    """The names of a few processes, the rest as a number."""
    shown = ", ".join(dict.fromkeys(name(pid) for pid in pids[:3]))
    return shown if len(pids) <= 3 else f"{shown} and others"


def adopt_orphans(adopt: bool = True) -> bool:
    """Have the kernel hand us descendants whose parent has died; whether it does (Linux)."""
    return _prctl(36, int(adopt))


def signal_on_parents_death(number: int) -> bool:
    """Have the kernel send us `number` when our parent dies; whether it does (Linux)."""
    return _prctl(1, number)


def _prctl(option: int, value: int) -> bool:
    import sys

    if sys.platform != "linux":
        return False
    import ctypes

    return int(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)) == 0
