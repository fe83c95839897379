"""One meter a node for many ranks: each joule is booked once.

Every rank can read its node's counters, so eight ranks that each report the machine would book it eight times. Here
only local rank 0 keeps the machine's figures, every rank keeps its own share, and `reduce` adds them up: the machine
once a node, dynamic shares rank by rank, and the idle of the cores that ranks hold in common once.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trimwatt.energy import Energy, Reading, total
from trimwatt.errors import InputError
from trimwatt.meter import usage

# torch.distributed, Slurm, Open MPI, MPICH and Intel MPI, MVAPICH2, PALS
_LOCAL = (
    "LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK",
    "PALS_LOCAL_RANKID",
)  # fmt: skip
_GLOBAL = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "PALS_RANKID")
_SIZE = ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
_DIFFERENT = 0.1


@dataclass(frozen=True)
class Rank:
    """Which of how many: `number` of `size` overall, `local` on its node."""

    number: int = 0
    local: int = 0
    size: int = 1
    node: str = ""


@dataclass(frozen=True)
class Share:
    """What one rank reports. cores: those it may run on, None where the system does not tell; threads: how many it
    holds; whole_threads: of the node's."""

    rank: Rank
    reading: Reading
    cores: frozenset[int] | None
    threads: float
    whole_threads: int


def here(environment: Mapping[str, str] = os.environ) -> Rank:
    """This process's rank, from what its launcher set; rank 0 of 1 where there is none.

    Raises InputError where a launcher's variable is no number.
    """
    number, local, size = (_number(names, environment) for names in (_GLOBAL, _LOCAL, _SIZE))
    return Rank(number or 0, (number or 0) if local is None else local, size or 1, platform.node())


def _number(names: Sequence[str], environment: Mapping[str, str]) -> int | None:
    for name in names:
        if name in environment:
            if not environment[name].isdigit():
                raise InputError(
                    f"{name} is the number of a rank, got {environment[name]!r}; unset it, or fix the launcher"
                )
            return int(environment[name])
    return None


def share(reading: Reading, rank: Rank | None = None) -> Share:
    """What this rank is to report of its window: the machine's energy only where it is the first of its node."""
    mine = rank or here()
    cores = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    kept = reading if mine.local == 0 else replace(reading, energy=None, domains={})
    return Share(mine, kept, cores, usage.reserved_threads(), usage.machine_threads())


def reduce(shares: Sequence[Share]) -> Reading:
    """All ranks' readings as one: energies and CPU seconds are sums, the duration is the longest.

    Raises InputError for none, for one rank given twice, and for a node of which no rank is the first.
    """
    if not shares:
        raise InputError("there are no ranks to reduce; gather one share of each first")
    numbers = [s.rank.number for s in shares]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"a rank is to be booked once, got ranks {sorted(numbers)}; give each its own number")
    nodes: dict[str, list[Share]] = {}
    for one in shares:
        nodes.setdefault(one.rank.node, []).append(one)
    parts = [_node(name, of_node) for name, of_node in nodes.items()]
    peaks = [s.reading.peak_rss_bytes for s in shares if s.reading.peak_rss_bytes is not None]
    return Reading(
        energy=_all([p.energy for p in parts]),
        process=_all([p.process for p in parts]),
        domains={
            f"{n}:{d}" if len(nodes) > 1 else d: e
            for n, p in zip(nodes, parts, strict=True)
            for d, e in p.domains.items()
        },
        duration_s=max(p.duration_s for p in parts),
        cpu_s=sum(p.cpu_s for p in parts),
        peak_rss_bytes=sum(peaks) if len(peaks) == len(shares) else None,
        coverage=sum(p.coverage for p in parts) / len(parts),
        warnings=tuple(dict.fromkeys(w for p in parts for w in p.warnings)),
        marginal=_all([p.marginal for p in parts]),
        idle=_all([p.idle for p in parts]),
        needs_s=max((p.needs_s for p in parts if p.needs_s is not None), default=None),
    )


def _node(name: str, shares: Sequence[Share]) -> Reading:
    first = [s for s in shares if s.rank.local == 0]
    if len(first) != 1:
        raise InputError(f"one rank of each node reads its machine, got {len(first)} with local rank 0 on {name!r}")
    reading = first[0].reading
    marginal, own, idle = _all([s.reading.marginal for s in shares]), _all([_own(s) for s in shares]), _idle(shares)
    process = None if own is None or idle is None else own + idle
    return replace(
        reading,
        process=_capped(process, reading.energy),
        marginal=_capped(marginal, reading.energy),
        idle=idle,
        cpu_s=sum(s.reading.cpu_s for s in shares),
        duration_s=max(s.reading.duration_s for s in shares),
        warnings=(*reading.warnings, *_apart(name, shares)),
    )


def _own(one: Share) -> Energy | None:
    """A rank's share without the idle of cores, which others may hold too."""
    process, idle = one.reading.process, one.reading.idle
    if process is None or idle is None:
        return None
    joules = max(0.0, process.joules - idle.joules)
    low, high = sorted((max(0.0, process.low - idle.low), max(0.0, process.high - idle.high)))
    return Energy(joules, min(joules, low), max(joules, high), process.origin)


def _idle(shares: Sequence[Share]) -> Energy | None:
    """The idle of what the ranks of a node hold together, over the longest window: cores they share count once."""
    longest = max(shares, key=lambda s: s.reading.duration_s)
    idle = longest.reading.idle
    if idle is None or longest.threads <= 0:
        return None
    return idle.scaled(min(_held(shares), longest.whole_threads) / longest.threads)


def _held(shares: Sequence[Share]) -> float:
    """Threads of the node that its ranks hold: of ranks on the same cores the most that one of them may use."""
    by_cores: dict[frozenset[int] | None, float] = {}
    for one in shares:
        by_cores[one.cores] = max(by_cores.get(one.cores, 0.0), one.threads)
    cores = [c for c in by_cores if c is not None]
    union = frozenset().union(*cores) if cores else frozenset()
    return min(sum(by_cores.values()), float(len(union))) if len(cores) == len(by_cores) else max(by_cores.values())


def _capped(energy: Energy | None, whole: Energy | None) -> Energy | None:
    """No more than the machine's: shares whose errors add up must not book a joule twice."""
    if whole is None or energy is None:
        return energy
    joules, high = min(energy.joules, whole.joules), min(energy.high, whole.high)
    return Energy(joules, min(energy.low, joules), max(joules, high), energy.origin)


def _apart(node: str, shares: Sequence[Share]) -> tuple[str, ...]:
    durations = [s.reading.duration_s for s in shares]
    if max(durations) - min(durations) <= _DIFFERENT * max(durations):
        return ()
    return (
        f"ranks of {node or 'this node'} were measured for {min(durations):.3g} to {max(durations):.3g} s; the"
        " machine's energy is that of its local rank 0's window",
    )


def _all(parts: Sequence[Energy | None]) -> Energy | None:
    """The sum, None where one of them is unknown."""
    known = [part for part in parts if part is not None]
    return total(known) if len(known) == len(parts) else None


def gather(reading: Reading, rank: Rank | None = None) -> Reading | None:
    """This window of all ranks as one reading, on rank 0; None on the others, and where torch.distributed is not set up
    the reading as it is.

    A collective: every rank must call it.
    """
    torch = sys.modules.get("torch")
    distributed = getattr(torch, "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return reading
    mine = rank or replace(here(), number=distributed.get_rank(), size=distributed.get_world_size())
    texts: list[Any] = [None] * mine.size
    distributed.all_gather_object(texts, _text(share(reading, mine)))
    return reduce([_share(text) for text in texts]) if mine.number == 0 else None


def _text(one: Share) -> str:
    r = one.rank
    cores = None if one.cores is None else sorted(one.cores)
    return json.dumps(
        [[r.number, r.local, r.size, r.node], one.reading.to_dict(), cores, one.threads, one.whole_threads]
    )


def _share(text: str) -> Share:
    rank, reading, cores, threads, whole = json.loads(text)
    return Share(Rank(*rank), Reading.from_dict(reading), None if cores is None else frozenset(cores), threads, whole)
