"""Power rails and energy counters of hwmon chips: INA current monitors on boards, amd_energy, server power meters.

Rails are inside one another in ways that no file tells, so every domain is "hwmon:<chip>-<label>", shown and never
added to packages. A rail that a board's maker calls its input is the whole board: its domain is "board". It is the
machine itself, counted only where a reading has nothing narrower, never beside packages.
Tested on a tree like the kernel's; not run on real hardware.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trimwatt.energy import Energy
from trimwatt.meter._base import Mark, Probe
from trimwatt.meter.counter import CounterMeter, State
from trimwatt.meter.powercap import Zone, read_int
from trimwatt.meter.sampled import SampledMeter, SampledState

ROOT = Path("/sys/class/hwmon")
EVERY_S = 0.1
# shunts and converters of such boards are within a few percent; a judgement, not measured
ACCURACY = 0.05
# what carrier boards call the rail that feeds all others
_WHOLE = re.compile(r"VDD_IN|POM_5V_IN|VIN_SYS_5V0|5V_IN|SYS_IN", re.IGNORECASE)
_INPUT = re.compile(r"(power|energy)(\d+)_(input|average)")


@dataclass(frozen=True)
class Rail:
    """One file with microwatts ("power") or microjoules ("energy")."""

    domain: str
    kind: str
    file: Path

    def watts(self) -> float | None:
        """Power now, None where it cannot be read."""
        microwatts = read_int(self.file)
        return None if microwatts is None else microwatts / 1e6


@dataclass(frozen=True)
class HwmonState:
    """What the counters and the sampled rails said, and CPU seconds of the whole machine."""

    counters: State
    samples: SampledState
    busy_s: float | None


def rails(root: Path = ROOT) -> list[Rail]:
    """Every rail of every chip below `root`, readable or not; of one label the counter, where there is one."""
    found: dict[str, Rail] = {}
    for chip in _chips(root):
        for rail in _rails(chip):
            known = found.get(rail.domain)
            if known is None or (known.kind == "power" and rail.kind == "energy"):
                found[rail.domain] = rail
            elif known.kind == rail.kind and known.file.parent != rail.file.parent:
                domain = f"{rail.domain}@{chip.name}"
                found[domain] = Rail(domain, rail.kind, rail.file)
    return list(found.values())


def _chips(root: Path) -> list[Path]:
    try:
        return sorted(root.iterdir())
    except OSError:
        return []


def _rails(chip: Path) -> Iterator[Rail]:
    name = _text(chip / "name") or chip.name
    try:
        files = sorted(chip.iterdir())
    except OSError:
        return
    numbers = {file.name for file in files}
    for file in files:
        match = _INPUT.fullmatch(file.name)
        # power meters have an average beside the input or instead of it
        if match is None or (match[3] == "average" and f"power{match[2]}_input" in numbers):
            continue
        label = _text(chip / f"{match[1]}{match[2]}_label") or f"{match[1]}{match[2]}"
        whole = match[1] == "power" and _WHOLE.fullmatch(label)
        yield Rail("board" if whole else f"hwmon:{name}-{label}".replace(" ", "_"), match[1], file)


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


class HwmonMeter:
    """Counters by difference, power by sampling. clock: monotonic seconds."""

    name = "hwmon"
    origin = "measured"

    def __init__(
        self, found: list[Rail], every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        zones = [Zone(rail.domain, rail.file, None, None) for rail in found if rail.kind == "energy"]
        sources = {rail.domain: partial(Rail.watts, rail) for rail in found if rail.kind == "power"}
        self._counters = CounterMeter(zones, clock)
        self._samples = SampledMeter(sources, every_s, ACCURACY, "hwmon", clock)

    @property
    def resolution_s(self) -> float:
        parts = (self._counters, self.counted_domains()), (self._samples, self._samples.domains)
        return max((part.resolution_s for part, domains in parts if domains), default=0.0)

    def counted_domains(self) -> tuple[str, ...]:
        """Domains that have a counter."""
        return tuple(zone.domain for zone in self._counters.zones)

    @property
    def domains(self) -> tuple[str, ...]:
        """All that can be read."""
        return (*self.counted_domains(), *self._samples.domains)

    def mark(self) -> Mark:
        counters, samples = self._counters.mark(), self._samples.mark()
        return Mark(samples.time_s, samples.cpu_s, HwmonState(counters.state, samples.state, samples.state.busy_s))

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        """Each rail that could be read all the while."""
        return {
            **self._counters.between(_part(a, "counters"), _part(b, "counters")),
            **self._samples.between(_part(a, "samples"), _part(b, "samples")),
        }

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        said: tuple[str, ...] = ()
        if self.counted_domains():
            said += self._counters.warnings(_part(a, "counters"), _part(b, "counters"))
        if self._samples.domains or not said:
            said += self._samples.warnings(_part(a, "samples"), _part(b, "samples"))
        return said


def _part(mark: Mark, name: str) -> Mark:
    return Mark(mark.time_s, mark.cpu_s, getattr(mark.state, name))


def open_meter(root: Path = ROOT) -> HwmonMeter | None:
    """A meter of the rails that can be read; None where there is none."""
    meter = HwmonMeter([rail for rail in rails(root) if read_int(rail.file) is not None])
    return meter if meter.domains else None


def probe(root: Path = ROOT) -> tuple[Probe, ...]:
    """Every rail, and whether it can be read."""
    found = rails(root)
    if not found:
        return (Probe("hwmon", str(root), "absent", "no chip here shows power or energy", ""),)
    return tuple(_probe(rail) for rail in found)


def _probe(rail: Rail) -> Probe:
    path = str(rail.file)
    if read_int(rail.file) is not None:
        return Probe("hwmon", path, "ready", f"{rail.domain}; shown, not added", "")
    if not os.access(rail.file, os.R_OK):
        return Probe("hwmon", path, "closed", f"{rail.domain}: not readable by this user", f"sudo chmod a+r {path}")
    return Probe("hwmon", path, "closed", f"{rail.domain}: it holds no number", "")
