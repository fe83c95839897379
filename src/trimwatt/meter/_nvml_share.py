"""Which share of a GPU's energy some processes used.

Work is shared by each process's use of the multiprocessors over time, idle power by who holds a context; a GPU's
counter does not tell them apart, so the two are the ends of the interval and the first is the likely one. MIG instances
have no such use: they are shared by slices, of all made, of all occupied, and of the GPU's seven.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimwatt.meter._nvml_library import Process

Share = tuple[float, float, float]
NONE, ALL = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
# the number of the first namespace of processes, fixed in the kernel
_HOST = "pid:[4026531836]"
_SLICES = 7
# a sample of use stands for the time since the one before, at most this long
_SAMPLE_S = 1.0


@dataclass(frozen=True)
class Use:
    """Running sums. used_s: multiprocessor seconds by pid. held_s: seconds with a context, by pid and MIG instance.
    listed_s: seconds in which the processes could be listed. seen_us: the newest sample. slices: of MIG's instances."""

    used_s: Mapping[int, float] = field(default_factory=dict)
    held_s: Mapping[Process, float] = field(default_factory=dict)
    listed_s: float = 0.0
    seen_us: int = 0
    slices: Mapping[int, int] = field(default_factory=dict)


def after(before: Use, processes: Collection[Process] | None, samples: list[tuple[int, int, int]], elapsed_s: float,
          slices: Mapping[int, int]) -> Use:  # fmt: skip
    """One more look: who is there, None where that is closed, and the samples of use since the last look."""
    used, held = dict(before.used_s), dict(before.held_s)
    for process in processes or ():
        held[process] = held.get(process, 0.0) + elapsed_s
    times = sorted({at for _, at, _ in samples})
    spans = dict(zip(times, _spans(before.seen_us, times), strict=True))
    for pid, at, percent in samples:
        used[pid] = used.get(pid, 0.0) + percent / 100 * spans[at]
    listed = before.listed_s + (elapsed_s if processes is not None else 0.0)
    return Use(used, held, listed, max([before.seen_us, *times]), slices)


def _spans(seen_us: int, times: list[int]) -> list[float]:
    starts = [seen_us or times[0] - 100_000, *times[:-1]] if times else []
    return [min(_SAMPLE_S, (at - start) / 1e6) for start, at in zip(starts, times, strict=True)]


def share(first: Use, last: Use, pids: Collection[int], may_use: bool) -> Share:
    """(least, likely, most) of the energy between two looks. may_use: these processes can reach this GPU at all."""
    held = {p: s - first.held_s.get(p, 0.0) for p, s in last.held_s.items() if s > first.held_s.get(p, 0.0)}
    unlisted = last.listed_s <= first.listed_s or not (held or _is_host())
    if unlisted or (held and not any(_is_here(p.pid) or p.pid in pids for p in held)):
        # nobody could be listed, or by the numbers of another namespace
        return _unlisted(pids) if may_use else NONE
    own = {p: s for p, s in held.items() if p.pid in pids}
    if not own:
        return NONE
    if last.slices:
        return _by_slices(own, held, last.slices)
    if len(own) == len(held):
        return ALL
    contexts = sum(own.values()) / sum(held.values())
    used = {pid: s - first.used_s.get(pid, 0.0) for pid, s in last.used_s.items()}
    if sum(used.values()) <= 0:
        return 0.0, contexts, 1.0
    work = sum(s for pid, s in used.items() if pid in pids) / sum(used.values())
    return min(work, contexts), work, max(work, contexts)


def _by_slices(own: Mapping[Process, float], held: Mapping[Process, float], slices: Mapping[int, int]) -> Share:
    mine = sum(_part(i, own, held) * slices.get(i, 1) for i in {p.instance for p in own} if i is not None)
    busy = sum(slices.get(i, 1) for i in {p.instance for p in held} if i is not None)
    if not mine or not busy:
        return 0.0, 0.5, 1.0
    made = max(busy, sum(slices.values()))
    return mine / max(made, _SLICES), mine / made, mine / busy


def _part(instance: int, own: Mapping[Process, float], held: Mapping[Process, float]) -> float:
    return sum(s for p, s in own.items() if p.instance == instance) / sum(
        s for p, s in held.items() if p.instance == instance
    )


def _unlisted(pids: Collection[int]) -> Share:
    """All is likely where one of these has CUDA open; none is not sure: a child may have had it, and ended."""
    files = (file for pid in pids for file in _open_files(pid))
    return (0.0, 1.0, 1.0) if "/dev/nvidia-uvm" in files else (0.0, 0.0, 1.0)


def _open_files(pid: int) -> list[str]:
    try:
        return [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def _is_host() -> bool:
    """Whether processes are numbered as the driver numbers them; a container's list of them is often empty."""
    try:
        return os.readlink("/proc/self/ns/pid") == _HOST
    except OSError:
        return True


def _is_here(pid: int) -> bool:
    return not Path("/proc/self").exists() or Path(f"/proc/{pid}").exists()


def visible(index: int, uuid: str) -> bool:
    """Whether `CUDA_VISIBLE_DEVICES` leaves this GPU to CUDA programs; numbers are taken in the bus's order."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return True
    for entry in (part.strip() for part in named.split(",")):
        if entry == str(index) or entry.startswith("MIG-") or (entry and uuid.startswith(entry)):
            return True
        # CUDA stops at the first entry that names nothing
        if not entry or entry.startswith("-"):
            return False
    return False
