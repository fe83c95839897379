"""Energy counters of processors through the kernel's perf events `power/energy-*`.

The same registers as powercap's, for those who may not read that: root, CAP_PERFMON, or a kernel whose
perf_event_paranoid is 0 or less. 64 bits wide, so they do not wrap. The system call is tested with a software event
and the counters with a tree like the kernel's; not run on a processor that counts.
"""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trimwatt.host import perf_event as event
from trimwatt.meter._base import Probe
from trimwatt.meter.counter import CounterMeter
from trimwatt.meter.powercap import Zone, read_int

ROOT = Path("/sys")
PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
_FIX = "sudo setcap cap_perfmon+ep $(readlink -f $(which python3)), or: sudo sysctl kernel.perf_event_paranoid=0"
# what the kernel calls them, and what a reading does; the memory-side names are those of powercap
_DOMAINS = {"pkg": "package", "ram": "dram", "cores": "core", "gpu": "uncore", "psys": "psys"}
_ENERGY = re.compile(r"energy-([a-z]+)")
Opener = Callable[[int, int, int, int], int]
Reader = Callable[[int], int | None]


@dataclass(frozen=True)
class Event:
    """One `power/energy-*` event. scale: joules a count."""

    name: str
    path: Path
    kind: int
    config: int
    scale: float


@dataclass(frozen=True)
class PerfZone(Zone):
    """An open event of one package."""

    descriptor: int = -1
    scale_uj: float = 1.0
    reader: Reader = event.read_event

    def read(self, tries: int = 1) -> int | None:
        count = self.reader(self.descriptor)
        return None if count is None else round(count * self.scale_uj)


class PerfMeter(CounterMeter):
    """Reads open events; closes them when it is gone."""

    name = "perf"

    def __init__(self, zones: list[PerfZone], **options: Callable[[], float]) -> None:
        super().__init__(zones, **options)
        weakref.finalize(self, _close, [zone.descriptor for zone in zones])


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        try:
            os.close(descriptor)
        except OSError:
            continue


def events(root: Path = ROOT) -> list[Event]:
    """The energy events that the kernel shows, below `root`/bus/event_source/devices/power, whose unit is joules."""
    pmu = root / "bus/event_source/devices/power"
    kind = read_int(pmu / "type")
    if kind is None:
        return []
    return [e for path in sorted((pmu / "events").glob("energy-*")) if (e := _event(path, kind)) is not None]


def _event(path: Path, kind: int) -> Event | None:
    if not _ENERGY.fullmatch(path.name):
        return None
    config = re.search(r"event=(0x[0-9a-f]+|\d+)", _text(path))
    try:
        scale = float(_text(path.with_name(path.name + ".scale")))
    except ValueError:
        return None
    if config is None or scale <= 0 or _text(path.with_name(path.name + ".unit")) != "Joules":
        return None
    return Event(path.name, path, kind, int(config[1], 0), scale)


def cpus(text: str) -> list[int]:
    """The numbers in a list like "0,18-19"."""
    found: list[int] = []
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found += range(int(first), int(last or first) + 1)
    return found


def open_zones(
    root: Path = ROOT, opener: Opener = event.open_event, reader: Reader = event.read_event
) -> list[PerfZone]:
    """Each event on one processor of each package, those that this user may open."""
    mask = cpus(_text(root / "bus/event_source/devices/power/cpumask"))
    return list(_opened(root, events(root), mask, opener, reader))


def _opened(root: Path, found: list[Event], mask: list[int], opener: Opener, reader: Reader) -> Iterator[PerfZone]:
    dies = {cpu: _place(root, cpu) for cpu in mask}
    packages = [package for package, _ in dies.values()]
    taken: set[str] = set()
    for cpu, (package, die) in dies.items():
        for e in found:
            kind = _DOMAINS.get(e.name.removeprefix("energy-"))
            several = packages.count(package) > 1
            domain = _domain(kind or e.name, package, die if several else None)
            if domain in taken:
                continue
            try:
                descriptor = opener(e.kind, e.config, -1, cpu)
            except OSError:
                continue
            taken.add(domain)
            yield PerfZone(domain, e.path, package, None, descriptor, e.scale * 1e6, reader)


def _domain(kind: str, package: int, die: int | None) -> str:
    if kind == "psys":
        return kind
    return f"{kind}-{package}" if die is None else f"{kind}-{package}-die-{die}"


def _place(root: Path, cpu: int) -> tuple[int, int]:
    """The package and the die of a processor."""
    topology = root / f"devices/system/cpu/cpu{cpu}/topology"
    return read_int(topology / "physical_package_id") or 0, read_int(topology / "die_id") or 0


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def open_meter(root: Path = ROOT) -> PerfMeter | None:
    """A meter of the events this user may open; None where no package is among them."""
    zones = open_zones(root)
    if any(zone.domain.startswith("package") for zone in zones):
        return PerfMeter(zones)
    _close([zone.descriptor for zone in zones])
    return None


def probe(root: Path = ROOT, opener: Opener = event.open_event) -> tuple[Probe, ...]:
    """Every energy event, whether this user may open it, and the kernel's reason where not."""
    found, mask = events(root), cpus(_text(root / "bus/event_source/devices/power/cpumask"))
    if not found or not mask:
        path = str(root / "bus/event_source/devices/power")
        return (Probe("perf", path, "absent", "the kernel shows no energy events", ""),)
    return tuple(_probe(e, mask[0], opener) for e in found)


def _probe(e: Event, cpu: int, opener: Opener) -> Probe:
    try:
        descriptor = opener(e.kind, e.config, -1, cpu)
    except OSError as error:
        denied = isinstance(error, PermissionError)
        why = f"{e.name}: {error.strerror or error}; perf_event_paranoid is {_text(PARANOID) or 'unknown'}"
        return Probe("perf", str(e.path), "closed", why, _FIX if denied else "")
    _close([descriptor])
    shown = "" if e.name == "energy-pkg" else "; shown, not counted" if e.name != "energy-ram" else ""
    return Probe("perf", str(e.path), "untested", f"{e.name} opens{shown}; not run on real hardware", "")
