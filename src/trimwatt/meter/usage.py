"""What the measured process tree and the machine have used: CPU seconds, memory, reserved threads."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from trimwatt._child import peak_rss_bytes as _high_water

_PROC = Path("/proc")


def tree_cpu_s() -> float:
    """CPU seconds of this process and its children, living or waited for, of any depth.

    The work of a descendant that died without being waited for is lost, as the system keeps no account of it.
    """
    if sys.platform != "linux":
        return _tree_by_psutil()
    own = time.process_time() + _waited_for("self")
    return own + sum(_living(pid) for pid in _descendants("self"))


def _descendants(pid: str) -> Iterator[str]:
    # walking from the top down: listing every process of the machine takes ten times as long
    with contextlib.suppress(OSError):
        for task in (_PROC / pid / "task").iterdir():
            for child in _children(task):
                yield child
                yield from _descendants(child)


def _children(task: Path) -> list[str]:
    try:
        return (task / "children").read_text().split()
    except OSError:
        return []


def _living(pid: str) -> float:
    """CPU seconds of a process and what it has waited for; 0 once it is gone, since its parent then counts it."""
    try:
        # the clock id of another process, as clock_getcpuclockid makes it: nanoseconds where /proc has 10 ms ticks
        return time.clock_gettime((~int(pid) << 3) | 2) + _waited_for(pid)
    except OSError:
        return 0.0


def _waited_for(pid: str) -> float:
    if pid == "self":
        times = os.times()
        return times.children_user + times.children_system
    fields = (_PROC / pid / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _tree_by_psutil() -> float:
    import psutil

    def used(process: psutil.Process) -> float:
        t = process.cpu_times()
        return float(t.user + t.system + getattr(t, "children_user", 0.0) + getattr(t, "children_system", 0.0))

    this = psutil.Process()
    seconds = used(this)
    for child in this.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            seconds += used(child)
    return seconds


def machine_busy_s() -> float | None:
    """CPU seconds that all processes together have used since start, None where the system does not tell.

    Steal is left out: the host gave that time to another machine.
    """
    try:
        with open("/proc/stat") as file:
            user, nice, system, _idle, _wait, irq, softirq = (int(v) for v in file.readline().split()[1:8])
        return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return _busy_by_psutil()


def _busy_by_psutil() -> float | None:
    import psutil

    try:
        t = psutil.cpu_times()
    except (psutil.Error, OSError):
        return None
    return float(t.user + t.system)


def machine_threads() -> int:
    """Hardware threads of the machine, at least 1."""
    return os.cpu_count() or 1


def reserved_threads() -> float:
    """How many of the machine's threads this process holds: those it may run on, or its container's quota if less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine_threads()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return allowed if quota == "max" else min(float(allowed), float(quota) / float(period))
    except (OSError, ValueError):
        return float(allowed)


def machine_memory_gb() -> float | None:
    """Memory of the machine in GB (10^9 bytes), None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (OSError, ValueError, AttributeError):
        return None


def peak_rss_bytes() -> int | None:
    """The most resident memory this process has held so far, in bytes; None where the system does not tell."""
    peak = _high_water()
    if peak is not None:
        return peak
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return math.ceil(most * (1 if sys.platform == "darwin" else 1024))
