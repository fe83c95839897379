"""A process's share of the machine's energy; machine = idle + processes.

Processors and memory:
dynamic: what work adds, shared by CPU time: E_dynamic * C / C_machine.
idle: what the machine takes without work, shared by reserved threads: E_idle * threads / n.
A model gives both terms. Counters give their sum E; it is divided as the model's proportions say,
    E_dynamic / E = (p_max - p_idle) * C_machine / [(p_max - p_idle) * C_machine + p_idle * n * T],
with an idle power taken to be uncertain by a factor of two either way. The share keeps its total's origin, and carries
this doubt in its interval.

Accelerators: the share that the sensor gives the processes; where it tells nothing, anything from none to all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from trimwatt.energy import Energy, total
from trimwatt.meter import cpu_model, usage
from trimwatt.meter._base import Mark, Meter

_IDLE_DOUBT = 2.0
_LISTED_S = 1.0
_ACCELERATORS = ("gpu", "tpu", "npu", "accelerator")
# the whole machine at its plug, battery or input rail: all else lies inside. The first that was read is it
_WHOLE = ("wall", "plug", "machine", "board", "battery")

# at least, likely, at most
Factor = tuple[float, float, float]


@dataclass(frozen=True)
class Claim:
    """What a process has used and holds between two marks. None: what this process itself holds.

    cpu_s: CPU seconds; threads: of the machine's; pids: its processes; memory: share of the machine's, in [0, 1].
    """

    cpu_s: float | None = None
    threads: float | None = None
    pids: Collection[int] | None = None
    memory: float | None = None

    def used(self, a: Mark, b: Mark) -> float:
        return max(0.0, b.cpu_s - a.cpu_s if self.cpu_s is None else self.cpu_s)

    def held(self) -> float:
        """The share of the machine's threads."""
        threads = usage.reserved_threads() if self.threads is None else self.threads
        return min(1.0, threads / usage.machine_threads())


def _kind(domain: str) -> str:
    return "" if ":" in domain else domain.partition("-")[0]


def is_accelerator(domain: str) -> bool:
    return _kind(domain) in _ACCELERATORS


def counted(domain: str) -> bool:
    """Whether a domain is part of the machine's sum; psys, core, uncore and mirrored zones lie inside others."""
    return _kind(domain) in ("package", "dram", "cpu", "memory", *_WHOLE, *_ACCELERATORS)


def summed(domains: Mapping[str, Energy]) -> dict[str, Energy]:
    """The domains that make up the machine, each joule in one of them.

    A battery or a plug gives all of it, but slowly and roughly: it counts where no processor was read by itself. Two
    kinds of these are two views of one thing.
    """
    parts = {d: e for d, e in domains.items() if counted(d) and _kind(d) not in _WHOLE}
    views = [{d: e for d, e in domains.items() if _kind(d) == kind} for kind in _WHOLE]
    whole = next((view for view in views if view), {})
    return whole if whole and all(is_accelerator(d) for d in parts) else parts


def machine(domains: Mapping[str, Energy]) -> Energy | None:
    """The machine's energy: the sum of what is counted once; None where nothing was read."""
    return total(list(summed(domains).values()))


def seen(meter: Meter, a: Mark, b: Mark) -> dict[str, Energy]:
    """What was read between two marks and, for each package that is there but could not be read, as much of the model.

    The package draws whether it is read or not: a sum without it would be too small, and one with it is `mixed`.
    """
    domains = meter.between(a, b)
    known = [zone.domain for zone in getattr(meter, "zones", ())] + list(getattr(meter, "closed", ()))
    packages = [d for d in known if d.startswith("package") and f"mirror:{d}" not in domains]
    missing = [d for d in packages if d not in domains]
    if not missing or any(_kind(d) in _WHOLE for d in domains):
        return domains
    model = cpu_model.detect().between(*_plain(a, b))["cpu"]
    return {**domains, **{d: model.scaled(1 / len(packages)) for d in missing}}


def _plain(a: Mark, b: Mark) -> tuple[Mark, Mark]:
    """The same two moments as the model of CPU time has them."""
    busy = _busy(a, b)
    return Mark(a.time_s, a.cpu_s, None if busy is None else 0.0), Mark(b.time_s, b.cpu_s, busy)


def per_cpu_second(meter: Meter) -> Energy | None:
    """Dynamic joules of one CPU second; None for counters, where each block must be measured."""
    model = _model(meter)
    return None if model is None else model.dynamic_energy(1.0)


def dynamic(
    meter: Meter, a: Mark, b: Mark, cpu_s: float | None = None, pids: Collection[int] | None = None
) -> Energy | None:
    """What the process's work took between two marks; None where the meter read nothing.

    cpu_s: CPU seconds of the process in between; None takes the marks' own. pids: its processes; None takes this
    process and its children.
    """
    claim = Claim(cpu_s, 0.0, pids)
    return _terms(meter, a, b, claim, dynamic=True, idle=False)


def idle(
    meter: Meter, a: Mark, b: Mark, threads: float | None = None, pids: Collection[int] | None = None
) -> Energy | None:
    """What the reserved threads took without work between two marks; None where the meter read nothing.

    threads: how many of the machine's it holds; None takes those this process may run on.
    """
    return _terms(meter, a, b, Claim(0.0, threads, pids), dynamic=False, idle=True)


def idle_cores(
    meter: Meter, a: Mark, b: Mark, threads: float | None = None, memory: float | None = None
) -> Energy | None:
    """`idle` without accelerators: what the reserved threads and share of the memory took without work."""
    claim = Claim(0.0, threads, (), memory)
    still = {d: e for d, e in summed(seen(meter, a, b)).items() if not is_accelerator(d)}
    return _processors(meter, still, a, b, claim, dynamic=False, idle=True)


def process_share(
    meter: Meter, a: Mark, b: Mark, cpu_s: float | None = None, threads: float | None = None,
    pids: Collection[int] | None = None, memory: float | None = None,
) -> Energy:  # fmt: skip
    """Dynamic and idle share together; estimated by the model of this machine where the meter read nothing."""
    claim = Claim(cpu_s, threads, pids, memory)
    share = _terms(meter, a, b, claim, dynamic=True, idle=True)
    if share is not None:
        return share
    first, last = _plain(a, b)
    return process_share(cpu_model.detect(), first, last, cpu_s, threads, pids, memory)


def split(meter: Meter, a: Mark, b: Mark, cpu_s: Mapping[str, float]) -> dict[str, Energy]:
    """The machine's energy in parts that add up to it: "rest", what it takes without work; "others", the work of
    processes not named; and the dynamic part of each named process.

    cpu_s: CPU seconds of each in between. Accelerators are left out: `shares` of their sensor says whose they are.
    Empty where the meter read nothing.
    """
    domains = {d: e for d, e in summed(seen(meter, a, b)).items() if not is_accelerator(d)}
    whole = total(list(domains.values()))
    if whole is None:
        return {}
    used = {name: max(0.0, seconds) for name, seconds in cpu_s.items()}
    busy = max(sum(used.values()), _busy(a, b) or 0.0)
    least, likely, most = _dynamic_share(a, b, busy)
    work = _times(whole, (least, likely, most))
    used["others"] = max(0.0, busy - sum(used.values()))
    parts = {name: work.scaled(seconds / busy if busy else 0.0) for name, seconds in used.items()}
    return {"rest": _times(whole, (1 - most, 1 - likely, 1 - least)), **parts}


def _terms(meter: Meter, a: Mark, b: Mark, claim: Claim, *, dynamic: bool, idle: bool) -> Energy | None:
    """The dynamic or the idle share of a claim, or both."""
    domains = summed(seen(meter, a, b))
    still = {d: e for d, e in domains.items() if not is_accelerator(d)}
    moving = {d: e for d, e in domains.items() if is_accelerator(d)}
    parts = [_processors(meter, still, a, b, claim, dynamic, idle)]
    if moving:
        parts.append(_accelerated(meter, moving, a, b, claim, dynamic, idle))
    return total([part for part in parts if part is not None])


def _processors(
    meter: Meter, domains: Mapping[str, Energy], a: Mark, b: Mark, claim: Claim, dynamic: bool, idle: bool
) -> Energy | None:
    if not domains:
        return None
    return _modelled(meter, a, b, claim, dynamic, idle) or _divided(domains, a, b, claim, dynamic, idle)


def _model(meter: Meter) -> Any:
    """The part of a meter that knows what work and waiting take, None where it reads counters."""
    return next((m for m in getattr(meter, "parts", (meter,)) if hasattr(m, "dynamic_energy")), None)


def _modelled(meter: Meter, a: Mark, b: Mark, claim: Claim, dynamic: bool, idle: bool) -> Energy | None:
    model = _model(meter)
    if model is None:
        return None
    threads = usage.reserved_threads() if claim.threads is None else claim.threads
    parts = [model.dynamic_energy(claim.used(a, b))] if dynamic else []
    if idle:
        parts.append(model.idle_energy(max(0.0, b.time_s - a.time_s), threads, claim.memory))
    return total(parts)


def _divided(domains: Mapping[str, Energy], a: Mark, b: Mark, claim: Claim, dynamic: bool, idle: bool) -> Energy | None:
    """The claim's share of counters: E * (d * c + (1 - d) * t), d known only to lie between two values."""
    used = claim.used(a, b)
    work, cpu = _dynamic_share(a, b, max(used, _busy(a, b) or 0.0)), _cpu_share(a, b, used)
    parts = []
    for domain, energy in domains.items():
        memory = claim.memory if _kind(domain) in ("dram", "memory") else None
        held = (claim.held() if memory is None else memory) if idle else 0.0
        shares = [[d * c + (1 - d) * held for d in work] for c in (cpu if dynamic else (0.0, 0.0, 0.0))]
        parts.append(_times(energy, (min(shares[0]), shares[1][1], max(shares[2]))))
    return total(parts)


def _accelerated(
    meter: Meter, domains: Mapping[str, Energy], a: Mark, b: Mark, claim: Claim, dynamic: bool, idle: bool
) -> Energy | None:
    shares = accelerator_shares(meter, a, b, domains, claim.pids)
    parts = []
    for domain, energy in domains.items():
        least, likely, most = shares[domain]
        low, mid, high = _accelerator_part(meter, domain, energy, b.time_s - a.time_s, dynamic, idle)
        parts.append(_times(energy, (least * low, likely * mid, most * high)))
    return total(parts)


def accelerator_shares(
    meter: Meter, a: Mark, b: Mark, domains: Collection[str], pids: Collection[int] | None = None
) -> dict[str, Factor]:
    """Which share of each accelerator these processes used; anything from none to all where nothing tells."""
    tell = getattr(meter, "shares", None)
    tree = usage.tree_pids() if pids is None else pids
    told: Mapping[str, Factor] = tell(a, b, tree) if tell else {}
    shares = {domain: told.get(domain, (0.0, 1.0, 1.0)) for domain in domains}
    unsure = any(least == 0 and most > 0 for least, _, most in shares.values())
    # sensors list processes now and then: of a short window the open devices tell more
    if unsure and b.time_s - a.time_s < _LISTED_S and not usage.may_use_accelerator(tree):
        return {d: (0.0, 0.0, 0.0) if s[0] == 0 else s for d, s in shares.items()}
    return shares


def _accelerator_part(
    meter: Meter, domain: str, energy: Energy, duration_s: float, dynamic: bool, idle: bool
) -> Factor:
    """The share of an accelerator's energy that is asked for: at least, likely, at most.

    Where its idle power is not known, all of it may be work's, and is what is likely of one in use.
    """
    if dynamic and idle:
        return 1.0, 1.0, 1.0
    tell = getattr(meter, "idle_w", None)
    watts = tell(domain) if tell else None
    if watts is None:
        return (0.0, 1.0, 1.0) if dynamic else (0.0, 0.0, 1.0)
    rest = min(1.0, max(0.0, watts * duration_s / energy.joules)) if energy.joules > 0 else 1.0
    part = 1 - rest if dynamic else rest
    return part, part, part


def _times(energy: Energy, factor: Factor) -> Energy:
    least, likely, most = factor
    # rounding must not push what is likely out of its own bounds
    return energy.times(likely, min(least, likely), max(most, likely))


def _busy(a: Mark, b: Mark) -> float | None:
    """CPU seconds of the whole machine between two marks, where their states tell."""
    first, last = (usage.busy_at(mark) for mark in (a, b))
    return None if first is None or last is None else max(0.0, last - first)


def others_s(a: Mark, b: Mark, used_s: float) -> float | None:
    """CPU seconds that other processes took between two marks, None where the system does not tell."""
    busy = _busy(a, b)
    return None if busy is None else max(0.0, busy - used_s)


def _cpu_share(a: Mark, b: Mark, used_s: float) -> Factor:
    """The process's share of the machine's CPU time."""
    busy = _busy(a, b)
    if busy is None:
        full = usage.machine_threads() * max(b.time_s - a.time_s, 1e-9)
        return min(1.0, used_s / full), 1.0, 1.0
    if used_s == 0:
        return 0.0, 0.0, 0.0
    doubt = usage.TICK_S * usage.machine_threads()
    least, likely = used_s / max(used_s, busy + doubt), used_s / max(used_s, busy)
    return least, likely, max(likely, used_s / max(used_s, busy - doubt))


def _dynamic_share(a: Mark, b: Mark, busy_s: float) -> Factor:
    """The share of the machine's energy that work added."""
    c = cpu_model.detect().coefficients
    busy = max(busy_s, b.cpu_s - a.cpu_s)
    work = (c.max_w - c.idle_w) * busy
    rest = c.idle_w * usage.machine_threads() * max(b.time_s - a.time_s, 0.0)

    def share(doubt: float) -> float:
        return work / (work + rest * doubt) if work > 0 else 0.0

    return share(_IDLE_DOUBT), share(1.0), share(1 / _IDLE_DOUBT)
