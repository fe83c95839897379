"""What a process tree and the machine have used: CPU seconds, memory, reserved threads."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from trimwatt._child import peak_rss_bytes as _high_water
from trimwatt.errors import InputError
from trimwatt.meter import cgroup
from trimwatt.meter._base import Mark

_PROC = Path("/proc")
# in which the system counts the machine's CPU time
TICK_S = 0.01


class Subject(Protocol):
    """Whose share is told: what it has used, and what it reserves."""

    @property
    def label(self) -> str: ...

    def cpu_s(self) -> float:
        """CPU seconds so far; once it is gone, the last that was seen."""
        ...

    def threads(self) -> float: ...

    def pids(self) -> frozenset[int]: ...

    def memory_share(self) -> float | None:
        """The share of the machine's memory it reserves, None where it has none set aside."""
        ...

    def peak_rss_bytes(self) -> int | None: ...

    def gone(self) -> bool: ...


class Own:
    """This process and its children."""

    label = "this process"

    def cpu_s(self) -> float:
        return tree_cpu_s()

    def threads(self) -> float:
        return reserved_threads()

    def pids(self) -> frozenset[int]:
        return tree_pids()

    def memory_share(self) -> float | None:
        return None

    def peak_rss_bytes(self) -> int | None:
        return peak_rss_bytes()

    def gone(self) -> bool:
        return False


class Tree(Own):
    """Another process and its children. Raises InputError where there is no such process."""

    def __init__(self, pid: int) -> None:
        import psutil

        try:
            self._process = psutil.Process(pid)
            self._process.create_time()
        except (psutil.Error, ValueError, OverflowError):
            raise InputError(f"there is no process {pid} to measure; `ps` lists those that run") from None
        self.pid = pid
        self.label = f"process {pid}"
        self._last_cpu_s = 0.0
        self._threads = reserved_threads(pid)

    def cpu_s(self) -> float:
        if not self.gone():
            used = _tree_by_psutil(self._process) if sys.platform != "linux" else _tree_of(self.pid)
            self._last_cpu_s = max(self._last_cpu_s, used)
        return self._last_cpu_s

    def threads(self) -> float:
        return self._threads

    def pids(self) -> frozenset[int]:
        return frozenset() if self.gone() else tree_pids(self.pid)

    def peak_rss_bytes(self) -> int | None:
        # a process that has ended and was not waited for has no such line
        with contextlib.suppress(OSError, ValueError, IndexError):
            status = (_PROC / str(self.pid) / "status").read_text()
            return int(status.partition("VmHWM:")[2].split()[0]) * 1024
        return None

    def gone(self) -> bool:
        # a number given to a new process is not this one
        import psutil

        try:
            return not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            return True


def tree_cpu_s() -> float:
    """CPU seconds of this process and its children, living or waited for, of any depth.

    The work of a descendant that died without being waited for is lost, as the system keeps no account of it.
    """
    if sys.platform != "linux":
        return _tree_by_psutil()
    own = time.process_time() + _waited_for("self")
    return own + sum(_living(pid) for pid in _descendants("self"))


def _tree_of(pid: int) -> float:
    return _living(str(pid)) + sum(_living(child) for child in _descendants(str(pid)))


def process_cpu_s(pid: int) -> float:
    """CPU seconds of a child of this process, and of what it has waited for; 0 where the system does not tell."""
    return _living(str(pid)) if sys.platform == "linux" else 0.0


def tree_pids(pid: int | None = None) -> frozenset[int]:
    """A process and its descendants; this one where none is named."""
    top = os.getpid() if pid is None else pid
    if sys.platform == "linux":
        return frozenset({top, *(int(child) for child in _descendants(str(top)))})
    import psutil

    with contextlib.suppress(psutil.Error):
        return frozenset({top, *(child.pid for child in psutil.Process(top).children(recursive=True))})
    return frozenset({top})


# what a program that uses an accelerator holds open: CUDA, ROCm, TPUs and others; management libraries do not
_DEVICES = ("/dev/nvidia-uvm", "/dev/kfd", "/dev/accel", "/dev/vfio/")


def may_use_accelerator(pids: Collection[int]) -> bool:
    """Whether any of these processes holds an accelerator open, or cannot be looked into."""
    if sys.platform != "linux":
        return True
    return any(_holds_device(pid) for pid in pids)


def _holds_device(pid: int) -> bool:
    try:
        for entry in os.scandir(_PROC / str(pid) / "fd"):
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(entry.path).startswith(_DEVICES):
                    return True
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


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
        import resource

        # to the microsecond; os.times has ticks of 10 ms, in which a short child is nothing
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime
    fields = (_PROC / pid / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _tree_by_psutil(this: Any = None) -> float:
    import psutil

    def used(process: psutil.Process) -> float:
        t = process.cpu_times()
        return float(t.user + t.system + getattr(t, "children_user", 0.0) + getattr(t, "children_system", 0.0))

    this = this or psutil.Process()
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


def busy_at(mark: Mark) -> float | None:
    """CPU seconds of the whole machine at a mark, None where its state does not tell."""
    if isinstance(mark.state, float | int):
        return float(mark.state)
    found = getattr(mark.state, "busy_s", None)
    return None if found is None else float(found)


def machine_threads() -> int:
    """Hardware threads of the machine, at least 1."""
    return os.cpu_count() or 1


def reserved_threads(pid: int = 0) -> float:
    """How many of the machine's threads a process holds: those it may run on, or its container's quota if less.

    pid: 0 is this process.
    """
    allowed = float(machine_threads())
    if hasattr(os, "sched_getaffinity"):
        with contextlib.suppress(OSError):
            allowed = float(len(os.sched_getaffinity(pid)))
    quota = _quota(pid, int(time.monotonic()))
    return min(allowed, quota) if quota else allowed


@functools.lru_cache(maxsize=64)
def _quota(pid: int, second: int) -> float | None:
    """CPUs that a container leaves to a process; looked up once a second, as it seldom changes and takes 0.2 ms."""
    group = cgroup.own(_PROC / (str(pid) if pid else "self") / "cgroup")
    return (group and group.quota()) or _old_quota()


def _old_quota() -> float | None:
    """CPUs that the quota of a version 1 container leaves, None where there is none."""
    folder = Path("/sys/fs/cgroup/cpu")
    try:
        quota, period = (int((folder / f"cpu.cfs_{kind}_us").read_text()) for kind in ("quota", "period"))
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None


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
