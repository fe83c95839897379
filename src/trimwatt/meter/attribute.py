"""A process's share of the machine's energy.

dynamic: what work adds, shared by CPU time: E_dynamic * C / C_machine.
idle: what the machine takes without work, shared by reserved threads: E_idle * threads / n.
A model gives both terms. Counters give their sum E; it is divided as the model's proportions say,
    E_dynamic / E = (p_max - p_idle) * C_machine / [(p_max - p_idle) * C_machine + p_idle * n * T],
with an idle power taken to be uncertain by a factor of two either way. The share keeps its total's origin, and carries
this doubt in its interval.
"""

from __future__ import annotations

from collections.abc import Mapping

from trimwatt.energy import Energy, total
from trimwatt.meter import cpu_model, usage
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.cpu_model import CpuModel

_IDLE_DOUBT = 2.0
# the system counts the machine's CPU time in ticks of 10 ms
_TICK_S = 0.01


def counted(domain: str) -> bool:
    """Whether a domain is part of the machine's sum; psys, core, uncore and mirrored zones lie inside others."""
    return ":" not in domain and domain.partition("-")[0] in ("package", "dram", "cpu", "memory", "gpu")


def machine(domains: Mapping[str, Energy]) -> Energy | None:
    """The machine's energy: the sum of what is counted once; None where nothing was read."""
    return total([energy for name, energy in domains.items() if counted(name)])


def per_cpu_second(meter: Meter) -> Energy | None:
    """Dynamic joules of one CPU second; None for counters, where each block must be measured."""
    return meter.dynamic_energy(1.0) if isinstance(meter, CpuModel) else None


def dynamic(meter: Meter, a: Mark, b: Mark, cpu_s: float | None = None) -> Energy | None:
    """What the process's work took between two marks; None where the meter read nothing.

    cpu_s: CPU seconds of the process in between; None takes the marks' own.
    """
    used = max(0.0, b.cpu_s - a.cpu_s if cpu_s is None else cpu_s)
    if isinstance(meter, CpuModel):
        return meter.dynamic_energy(used)
    whole = machine(meter.between(a, b))
    if whole is None:
        return None
    mid, low, high = _dynamic_share(a, b)
    least, share, most = _cpu_share(a, b, used)
    return Energy(whole.joules * mid * share, whole.low * low * least, whole.high * high * most, whole.origin)


def idle(meter: Meter, a: Mark, b: Mark, threads: float | None = None) -> Energy | None:
    """What the reserved threads took without work between two marks; None where the meter read nothing.

    threads: how many of the machine's it holds; None takes those this process may run on.
    """
    held = usage.reserved_threads() if threads is None else threads
    if isinstance(meter, CpuModel):
        return meter.idle_energy(max(0.0, b.time_s - a.time_s), held)
    whole = machine(meter.between(a, b))
    if whole is None:
        return None
    mid, low, high = _dynamic_share(a, b)
    share = min(1.0, held / usage.machine_threads())
    return Energy(whole.joules * (1 - mid), whole.low * (1 - high), whole.high * (1 - low), whole.origin).scaled(share)


def process_share(meter: Meter, a: Mark, b: Mark, cpu_s: float | None = None, threads: float | None = None) -> Energy:
    """Dynamic and idle share together; estimated by the model of this machine where the meter read nothing."""
    parts = dynamic(meter, a, b, cpu_s), idle(meter, a, b, threads)
    if parts[0] is None or parts[1] is None:
        return process_share(cpu_model.detect(), a, b, cpu_s, threads)
    return parts[0] + parts[1]


def _busy(a: Mark, b: Mark) -> float | None:
    """CPU seconds of the whole machine between two marks, where their states tell."""
    first, last = (getattr(mark.state, "busy_s", None) for mark in (a, b))
    return None if first is None or last is None else float(max(0.0, last - first))


def _cpu_share(a: Mark, b: Mark, used_s: float) -> tuple[float, float, float]:
    """The process's share of the machine's CPU time: at least, likely, at most."""
    busy = _busy(a, b)
    if busy is None:
        full = usage.machine_threads() * max(b.time_s - a.time_s, 1e-9)
        return min(1.0, used_s / full), 1.0, 1.0
    if used_s == 0:
        return 0.0, 0.0, 0.0
    doubt = _TICK_S * usage.machine_threads()
    least, likely = used_s / max(used_s, busy + doubt), used_s / max(used_s, busy)
    return least, likely, max(likely, used_s / max(used_s, busy - doubt))


def _dynamic_share(a: Mark, b: Mark) -> tuple[float, float, float]:
    """The share of the machine's energy that work added: likely, at least, at most."""
    c = cpu_model.detect().coefficients
    busy = max(b.cpu_s - a.cpu_s, _busy(a, b) or 0.0)
    work = (c.max_w - c.idle_w) * busy
    rest = c.idle_w * usage.machine_threads() * max(b.time_s - a.time_s, 0.0)

    def share(doubt: float) -> float:
        return work / (work + rest * doubt) if work > 0 else 0.0

    return share(1.0), share(_IDLE_DOUBT), share(1 / _IDLE_DOUBT)
