"""What is told of the time between two marks: whose energy it was, what was not read, and what is too short to tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from trimwatt import units
from trimwatt.energy import Energy, Reading
from trimwatt.meter import attribute, usage
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.combined import Combined, resolution

# a neighbour that takes less of the machine's CPU time than this changes little
_BUSY_SHARE = 0.1
# the machine's CPU time comes in ticks of 10 ms
_TELLS_S = 0.1
# repeating aims this far above what a sensor resolves
MARGIN = 5


def read(
    sensor: Meter, a: Mark, b: Mark, subject: usage.Subject | None = None, cpu_s: float | None = None,
    processes: Collection[int] | None = None,
) -> Reading:  # fmt: skip
    """All that a sensor tells of the time between two of its marks.

    subject: whose share `process` is, this process's tree where none is named; cpu_s: its CPU seconds in between;
    processes: those that belonged to it at any time, where more is known than who does now.
    A window too short for a sensor that the sum needs has no energy at all; `needs_s` and a warning name the duration.
    """
    whose = subject or usage.Own()
    used = max(0.0, b.cpu_s - a.cpu_s if cpu_s is None else cpu_s)
    seen = attribute.seen(sensor, a, b)
    short, lost = _too_short(sensor, a, b)
    domains = {d: e for d, e in seen.items() if d not in lost}
    pids: Collection[int] = frozenset()
    if any(attribute.is_accelerator(domain) for domain in seen):
        pids = whose.pids() if processes is None else processes
    untold = bool(short) and _is_used(lost, sensor, a, b, pids)
    claim = used, whose.threads(), pids, whose.memory_share()
    return Reading(
        energy=None if short else attribute.machine(domains),
        process=None if untold else attribute.process_share(sensor, a, b, *claim),
        domains=domains,
        duration_s=max(0.0, b.time_s - a.time_s),
        cpu_s=used,
        peak_rss_bytes=whose.peak_rss_bytes(),
        coverage=coverage(domains, _failed(sensor, a, b)),
        warnings=_warnings(sensor, a, b, whose, used, short),
        marginal=None if untold else attribute.dynamic(sensor, a, b, used, pids),
        idle=None if untold else attribute.idle_cores(sensor, a, b, whose.threads(), whose.memory_share()),
        needs_s=max((resolution(part) for part in short), default=None),
    )


def _parts(sensor: Meter, a: Mark, b: Mark) -> list[tuple[Meter, dict[str, Energy]]]:
    return sensor.read(a, b) if isinstance(sensor, Combined) else [(sensor, sensor.between(a, b))]


def _too_short(sensor: Meter, a: Mark, b: Mark) -> tuple[list[Meter], set[str]]:
    """The parts that cannot resolve this window and whose domains are in the sum, and those domains."""
    parts = [(p, d) for p, d in _parts(sensor, a, b) if b.time_s - a.time_s < resolution(p) * (1 - 1e-9)]
    summed = attribute.summed(sensor.between(a, b))
    needed = [(p, d) for p, d in parts if set(d) & set(summed)]
    closed = {domain for p, _ in needed for domain in getattr(p, "closed", ())}
    return [p for p, _ in needed], {domain for _, d in parts for domain in d} | closed


def _is_used(short: set[str], sensor: Meter, a: Mark, b: Mark, pids: Collection[int]) -> bool:
    """Whether the process may have used what the window is too short for; a card that it left alone is no matter."""
    cards = {domain for domain in short if attribute.is_accelerator(domain)}
    shares = attribute.accelerator_shares(sensor, a, b, cards, pids) if cards else {}
    return any(shares.get(domain, (0.0, 1.0, 1.0))[2] > 0 for domain in short)


def _failed(sensor: Meter, a: Mark, b: Mark) -> int:
    return sensor.failed(a, b) if isinstance(sensor, Combined) else 0


def _warnings(
    sensor: Meter, a: Mark, b: Mark, subject: usage.Subject, used: float, short: list[Meter]
) -> tuple[str, ...]:
    tell = getattr(sensor, "warnings", None)
    said = list(tell(a, b)) if tell else []
    if short:
        # said once, and for all sensors together
        said = [line for line in said if "too short" not in line]
        said.insert(0, _refusal(b.time_s - a.time_s, short))
    if subject.gone():
        said.append(f"{subject.label} ended during this window; it is counted up to when it was last seen")
    return tuple(said) + _neighbours(a, b, subject, used)


def _refusal(duration_s: float, short: list[Meter]) -> str:
    slowest = max(short, key=resolution)
    needs = units.seconds(resolution(slowest))
    return (
        f"{units.seconds(duration_s)} is too short for {slowest.name}, which resolves {needs} at the least: no energy"
        f" is told; measure {units.seconds(MARGIN * resolution(slowest))} or more, or repeat the work with"
        " metered(repeat=True)"
    )


def _neighbours(a: Mark, b: Mark, subject: usage.Subject, used: float) -> tuple[str, ...]:
    duration_s = b.time_s - a.time_s
    others = attribute.others_s(a, b, used)
    if others is None or duration_s < _TELLS_S or others <= _BUSY_SHARE * duration_s * usage.machine_threads():
        return ()
    share = others / (others + used)
    return (
        f"busy neighbours: other processes took {share:.0%} of the CPU time, {others / duration_s:.2g} of"
        f" {usage.machine_threads()} CPUs; the machine's energy is theirs too, look at the share of {subject.label}",
    )


def coverage(domains: Mapping[str, Energy], failed: int = 0) -> float:
    """The share of the drawing parts that were measured: each processor is one part, its memory another, and each
    accelerator one; so is a sensor that failed and read nothing."""
    packages = [d for d in domains if d.startswith("package") or d == "cpu"]
    drams = [d for d in domains if d.startswith("dram")]
    accelerators = [d for d in domains if attribute.is_accelerator(d)]
    parts = 2 * len(packages) + len(accelerators) + failed
    told = sum(domains[d].origin == "measured" for d in [*packages, *accelerators]) + min(len(drams), len(packages))
    whole = attribute.summed(domains)
    if not parts or not packages:
        # a battery or a plug leaves nothing out
        measured = whole and not any(attribute.is_accelerator(d) for d in whole)
        return float(all(e.origin == "measured" for e in whole.values())) if measured else told / max(1, parts)
    return told / parts


def summary(reading: Reading) -> str:
    """A reading in one line."""
    process = f"process {reading.process}" if reading.process else "process unknown"
    machine = f"machine {reading.energy}" if reading.energy else "machine unknown"
    return f"{process}; {machine}; {units.seconds(reading.duration_s)}, {units.seconds(reading.cpu_s)} of CPU"
