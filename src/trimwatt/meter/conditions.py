"""How fit this machine is to measure on: load and neighbours, frequency, clock, affinity, counters, disk."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trimwatt.host import perf_event
from trimwatt.meter import usage

# above this share of the threads busy with others' work, readings of the machine are not about one program
_NEIGHBOURS = 0.1
_WATCH_S = 0.25


@dataclass(frozen=True)
class Condition:
    """One thing that was looked at. state: "good", "poor" or "unknown". detail: what was seen, and what it means."""

    name: str
    state: Literal["good", "poor", "unknown"]
    detail: str


def look(root: Path = Path("/"), folder: Path | None = None) -> tuple[Condition, ...]:
    """All of them. root: of the file system. folder: where a study would write; the current one by default."""
    cgroup2 = (root / "sys/fs/cgroup/cgroup.controllers").exists()
    shares = "a container's share can be told" if cgroup2 else "shares of containers cannot be told"
    return (
        load(),
        _frequency(root),
        _clock(),
        _affinity(),
        _counters(root),
        Condition("cgroup v2", "good" if cgroup2 else "unknown", shares),
        writable(folder or Path.cwd()),
        Condition("network", "good", "not used: no look-up, no telemetry"),
    )


def load(
    others: Callable[[], float | None] | None = None, average: Callable[[], float | None] | None = None
) -> Condition:
    """Load average, and how many threads other programs keep busy right now. Both can be given, for tests."""
    threads, busy, mean = usage.machine_threads(), (others or _others)(), (average or _load_average)()
    shown = "load average not told" if mean is None else f"load average {mean:.1f} on {threads} threads"
    if busy is None:
        return Condition("load", "unknown", shown)
    text = f"{shown}, {busy:.1f} busy with other programs"
    if busy > _NEIGHBOURS * threads or (mean or 0) > threads:
        means = "totals include neighbours, shares get wider, and small differences take more pairs to show"
        return Condition("load", "poor", f"{text}: {means}")
    return Condition("load", "good", text)


def _load_average() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _others() -> float | None:
    """Threads that are busy with what is not ours, over a quarter of a second."""
    before, own, start = usage.machine_busy_s(), time.process_time(), time.monotonic()
    time.sleep(_WATCH_S)
    after = usage.machine_busy_s()
    if before is None or after is None:
        return None
    return max(0.0, after - before - (time.process_time() - own)) / (time.monotonic() - start)


def _frequency(root: Path) -> Condition:
    cpu = root / "sys/devices/system/cpu"
    governor = _text(cpu / "cpu0/cpufreq/scaling_governor")
    off, boost = _text(cpu / "intel_pstate/no_turbo"), _text(cpu / "cpufreq/boost")
    turbo = {"0": "on", "1": "off"}.get(off) or {"1": "on", "0": "off"}.get(boost)
    if not governor and turbo is None:
        return Condition("frequency", "unknown", "governor and turbo are not shown; it may change, so pairs are needed")
    text = f"governor {governor or 'not shown'}, turbo {turbo or 'not shown'}"
    steady = turbo == "off" or governor == "performance"
    note = "" if steady else ": it moves with load and heat, which random pairs take out"
    return Condition("frequency", "good" if steady else "poor", text + note)


def _clock() -> Condition:
    told = time.get_clock_info("monotonic")
    fine = told.monotonic and told.resolution <= 1e-3
    return Condition("clock", "good" if fine else "poor", f"{told.implementation}, resolution {told.resolution:.2g} s")


def _affinity() -> Condition:
    if not hasattr(os, "sched_getaffinity"):
        return Condition("affinity", "unknown", "cores cannot be chosen on this platform; the A/A self-test decides")
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        return Condition("affinity", "poor", "this process may not choose its cores; the A/A self-test decides")
    return Condition("affinity", "good", f"may run on {len(cores)} of {usage.machine_threads()} threads, and choose")


def _counters(root: Path) -> Condition:
    """Whether instructions can be counted."""
    level = _text(root / "proc/sys/kernel/perf_event_paranoid") or "not shown"
    try:
        os.close(perf_event.open_event(perf_event.HARDWARE, 1, 0, -1))
    except OSError as error:
        why = error.strerror or str(error)
        return Condition("perf counters", "unknown", f"no: {why} (perf_event_paranoid {level}); not needed for energy")
    return Condition("perf counters", "good", f"yes (perf_event_paranoid {level})")


def writable(folder: Path) -> Condition:
    """Whether a study could be written to `folder`; nothing is left there."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Condition("disk", "good", "this folder can be written")
    except OSError as error:
        return Condition("disk", "poor", f"this folder cannot be written ({error.strerror or error}); give one with -o")


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
