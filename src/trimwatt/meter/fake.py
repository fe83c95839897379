"""Sensors for tests, driven by a clock that the test holds: a meter, and a faithful powercap tree."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trimwatt.energy import Energy
from trimwatt.meter._base import Mark

# what the kernel gives for 61.035 uJ a step of a 32-bit register
INTEL_RANGE_UJ = 262143328850
AMD_RANGE_UJ = 65532610987


@dataclass
class Clock:
    """Seconds that pass only when told to."""

    now_s: float = 1000.0

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass(frozen=True)
class FakeState:
    """CPU seconds of the whole machine."""

    busy_s: float


@dataclass(frozen=True)
class FakeMeter:
    """Domains that draw constant `watts`; one process that uses `busy` of a core, and is all that runs."""

    clock: Clock
    watts: Mapping[str, float] = field(default_factory=lambda: {"package-0": 50.0, "dram-0": 5.0})
    busy: float = 1.0
    name: str = "fake"
    origin: str = "measured"

    def mark(self) -> Mark:
        used = self.busy * self.clock.now_s
        return Mark(self.clock.now_s, used, FakeState(used))

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        seconds = b.time_s - a.time_s
        return {name: Energy(w * seconds, w * seconds, w * seconds, "measured") for name, w in self.watts.items()}


@dataclass
class FakeZone:
    """A zone of the tree: where it is ("intel-rapl:0:1"), its name, and power(t) in watts.

    Keys follow the kernel's: psys takes the index after the packages, a second control type is "intel-rapl-mmio:0".
    start_uj: the counter at the start. range_uj: where it wraps, None hides it. is_limited: whether it has limits of
    power; AMD's zones have none and are not enabled.
    """

    key: str
    name: str
    power: Callable[[float], float]
    start_uj: int = 0
    range_uj: int | None = INTEL_RANGE_UJ
    is_limited: bool = True


def constant(watts: float) -> Callable[[float], float]:
    """The same power at any time."""
    return lambda _: watts


class FakePowercap:
    """A tree as the kernel shows it, below `folder`: zones nested under devices/virtual/powercap, flat links to all of
    them under class/powercap, and in each zone a `subsystem` link that leads back up.

    `root` is what TRIMWATT_POWERCAP is to be set to. `advance` lets time pass, in steps of at most `step_s`.
    A counter changes at once, as the kernel's do; `empties` has it empty for a moment first, as a careless writer does.
    `longest_s`: how far apart the counters were moved at most while they were `fed`; a busy machine stalls that thread.
    """

    def __init__(
        self, folder: Path, zones: Sequence[FakeZone], clock: Clock | None = None, step_s: float = 0.01,
        empties: bool = False,
    ) -> None:  # fmt: skip
        folder = folder.resolve()
        self.root = folder / "class" / "powercap"
        self.clock = clock or Clock()
        self.zones = {zone.key: zone for zone in zones}
        self.step_s, self.longest_s, self.empties = step_s, 0.0, empties
        self._drawn_uj = {zone.key: 0.0 for zone in zones}
        self._folders = {zone.key: folder / "devices" / "virtual" / "powercap" / _nested(zone.key) for zone in zones}
        self._make()

    def _make(self) -> None:
        self.root.mkdir(parents=True)
        for control in sorted({path.parents[_depth(key) - 1] for key, path in self._folders.items()}):
            control.mkdir(parents=True)
            (self.root / control.name).symlink_to(control)
            (control / "subsystem").symlink_to(self.root)
        for key in sorted(self.zones, key=len):
            self._make_zone(self.zones[key], self._folders[key])
        self.write()

    def _make_zone(self, zone: FakeZone, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "name").write_text(zone.name + "\n")
        (folder / "enabled").write_text(f"{int(zone.is_limited)}\n")
        if zone.is_limited:
            limits = {"name": "long_term", "power_limit_uw": 200000000, "time_window_us": 999424, "max_power_uw": 0}
            for what, value in limits.items():
                (folder / f"constraint_0_{what}").write_text(f"{value}\n")
        (folder / "uevent").write_text("")
        (folder / "subsystem").symlink_to(self.root)
        (folder / "device").symlink_to(folder.parent)
        if zone.range_uj is not None:
            (folder / "max_energy_range_uj").write_text(f"{zone.range_uj}\n")
        (self.root / zone.key).symlink_to(folder)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass and the counters run."""
        steps = max(1, round(seconds / self.step_s))
        for _ in range(steps):
            self.clock.advance(seconds / steps)
            for key, zone in self.zones.items():
                self._drawn_uj[key] += zone.power(self.clock.now_s) * seconds / steps * 1e6
        self.write()

    @contextmanager
    def fed(self, every_s: float = 0.0005) -> Iterator[None]:
        """Let time pass as on the wall while the block runs: a thread moves the counters every `every_s` seconds."""
        end = threading.Event()
        thread = threading.Thread(target=self._feed, args=(end, every_s), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _feed(self, end: threading.Event, every_s: float) -> None:
        before = time.monotonic()
        while not end.wait(every_s):
            now = time.monotonic()
            self.longest_s = max(self.longest_s, now - before)
            self.advance(now - before)
            before = now

    def write(self) -> None:
        """Show the counters, wrapped; zones that were removed stay away."""
        for key in self.zones:
            if self._folders[key].is_dir() and not self.energy_file(key).is_dir():
                self._show(self.energy_file(key), f"{self.counter(key)}\n")

    def _show(self, file: Path, text: str) -> None:
        if self.empties:
            file.write_text(text)
            return
        beside = file.with_name("energy_uj.next")
        beside.write_text(text)
        if file.exists():
            beside.chmod(file.stat().st_mode & 0o777)
        beside.replace(file)

    def counter(self, key: str) -> int:
        """What the zone's counter says, microjoules."""
        zone = self.zones[key]
        value = zone.start_uj + round(self._drawn_uj[key])
        return value if zone.range_uj is None else value % zone.range_uj

    def energy_file(self, key: str) -> Path:
        return self._folders[key] / "energy_uj"

    def remove(self, key: str) -> None:
        """Take a zone away, as a hot-removed socket does."""
        (self.root / key).unlink()
        self._folders[key].rename(self._folders[key].with_name("gone"))

    def close(self, key: str) -> None:
        """Keep a zone's counter from being read, by root too: a folder stands where it was."""
        self.energy_file(key).unlink()
        self.energy_file(key).mkdir()

    def open(self, key: str) -> None:
        """Let a closed counter be read again."""
        self.energy_file(key).rmdir()
        self.write()


def _depth(key: str) -> int:
    return key.count(":")


def _nested(key: str) -> Path:
    """intel-rapl/intel-rapl:0/intel-rapl:0:1 of "intel-rapl:0:1"."""
    parts = key.split(":")
    return Path(*[":".join(parts[: n + 1]) for n in range(len(parts))])
