"""The machine beside a block: its load, the clock of the block's cores, and what other machines took of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from trimwatt.compare._base import Block

_CPUS = Path("/sys/devices/system/cpu")
_STAT = Path("/proc/stat")
_INFO = Path("/proc/cpuinfo")


def load() -> float | None:
    """The machine's load average over a minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def frequency_hz(cores: Iterable[int]) -> float | None:
    """The mean clock of `cores` now, None where the system does not tell."""
    wanted = sorted(cores)
    found = [f for f in (_scaled(core) for core in wanted) if f is not None] or _told(wanted)
    return sum(found) / len(found) if found else None


def _scaled(core: int) -> float | None:
    try:
        return float((_CPUS / f"cpu{core}" / "cpufreq" / "scaling_cur_freq").read_text()) * 1e3
    except (OSError, ValueError):
        return None


def _told(cores: list[int]) -> list[float]:
    """As /proc/cpuinfo says it, which some virtual machines keep constant."""
    try:
        lines = _INFO.read_text().splitlines()
        clocks = [float(line.partition(":")[2]) * 1e6 for line in lines if line.startswith("cpu MHz")]
    except (OSError, ValueError):
        return []
    return [clocks[core] for core in cores if core < len(clocks)]


def stolen_s(cores: Iterable[int]) -> float | None:
    """Seconds for which `cores` were given to other machines since start, in steps of a tick (10 ms)."""
    names = {f"cpu{core}" for core in cores}
    try:
        rows = [line.split() for line in _STAT.read_text().splitlines() if line.startswith("cpu")]
        return sum(int(row[8]) for row in rows if row[0] in names) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def watched(run: Callable[[], Block], cores: frozenset[int], pinned: bool, place: int) -> Block:
    """The block with what the machine was like: over all `cores` it may have run on where it was not pinned."""
    before = stolen_s(cores)
    block = run()
    after = stolen_s(cores)
    steal = None if before is None or after is None else max(0.0, after - before)
    return replace(
        block, load=load() if block.load is None else block.load, frequency_hz=frequency_hz(cores), steal_s=steal,
        cores=tuple(sorted(cores)) if pinned else None, place=place,
    )  # fmt: skip
