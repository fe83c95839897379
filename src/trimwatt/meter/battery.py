"""What a laptop's battery gave while it discharged.

The domain is "battery": the whole machine, screen and radios included, and so everything that packages, DRAM and a
graphics card draw. It is never added to those; it counts only where a reading has nothing narrower, and serves to
calibrate what is narrower. On mains, charging or full, there is no reading.

Firmware refreshes these figures every few seconds to half a minute, in steps of 1 to 10 mWh: a window of less than some
minutes says little, and its interval shows that.
Tested on a tree like the kernel's; not run on real hardware.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trimwatt.energy import Energy
from trimwatt.meter import usage
from trimwatt.meter._base import Mark, Probe
from trimwatt.meter._repeat import Repeat, lock
from trimwatt.meter.powercap import read_int
from trimwatt.meter.sampled import Channel, step

ROOT = Path("/sys/class/power_supply")
# the slowest refresh of common firmware
UPDATE_S = 30.0
_STEP_J = 36.0
_POLL_S = 10.0


@dataclass(frozen=True)
class Cell:
    """One look at a battery. joules, coulombs: what is left, at volts; watts: drawn now; each None where not shown."""

    joules: float | None = None
    watts: float | None = None
    coulombs: float | None = None
    volts: float | None = None


@dataclass(frozen=True)
class _Battery:
    """A battery so far. given_j: what it gave; power: the integral of its power. epoch: pauses of its discharge."""

    given_j: float = 0.0
    cell: Cell | None = None
    power: Channel | None = None
    epoch: int = 0


@dataclass(frozen=True)
class BatteryState:
    """Each battery, and CPU seconds of the whole machine."""

    batteries: Mapping[str, _Battery]
    busy_s: float | None


def find(root: Path = ROOT) -> list[Path]:
    """The folders of the machine's own batteries; those of mice and headsets have the scope "Device"."""
    try:
        entries = sorted(root.iterdir())
    except OSError:
        return []
    return [e for e in entries if _text(e / "type") == "Battery" and _text(e / "scope") != "Device"]


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def look(folder: Path) -> Cell | None:
    """What a battery says; None unless it discharges and shows energy, charge and voltage, or power."""
    if _text(folder / "status") != "Discharging":
        return None
    volts_uv = read_int(folder / "voltage_now")
    volts = None if volts_uv is None else volts_uv / 1e6
    watts = _scaled(folder / "power_now", 1e-6)
    current = _scaled(folder / "current_now", 1e-6)
    if watts is None and current is not None and volts is not None:
        watts = current * volts
    coulombs = None if volts is None else _scaled(folder / "charge_now", 3600e-6)
    cell = Cell(_scaled(folder / "energy_now", 3600e-6), watts, coulombs, volts)
    return None if cell.joules is None and cell.coulombs is None and watts is None else cell


def _scaled(file: Path, unit: float) -> float | None:
    """The number in a file times `unit`, without its sign: some drivers show what a battery gives as negative."""
    try:
        return abs(int(file.read_text())) * unit
    except (OSError, ValueError):
        return None


class BatteryMeter:
    """Reads the batteries in `folders` together. clock: monotonic seconds."""

    name = "battery"
    origin = "measured"
    resolution_s = 10 * UPDATE_S

    def __init__(self, folders: list[Path], clock: Callable[[], float] = time.monotonic) -> None:
        self._folders = {folder.name: folder for folder in folders}
        self._batteries = {name: _Battery() for name in self._folders}
        self._clock = clock
        self._at_s = clock()
        # looked at so that a charger plugged in for a minute does not pass unseen
        self._poll = Repeat(self.refresh, _POLL_S)
        self._lock = lock(self)
        self.refresh()

    def refresh(self) -> None:
        """Look at every battery once."""
        with self._lock:
            self._read()

    def mark(self) -> Mark:
        self._poll.ensure()
        with self._lock:
            self._read()
            state = BatteryState(dict(self._batteries), usage.machine_busy_s())
            return Mark(self._at_s, usage.tree_cpu_s(), state)

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        """`battery`: what all of them gave; nothing unless each discharged all the while or did nothing at all.

        The interval holds that both ends may be half a minute old, and the size of a step.
        """
        if self._paused(a, b):
            return {}
        given = [_given(a.state.batteries[name], b.state.batteries[name]) for name in self._running(a)]
        duration_s = max(0.0, b.time_s - a.time_s)
        joules = sum(given)
        if not given or duration_s == 0:
            return {"battery": Energy(0.0, 0.0, 0.0, "measured")} if given else {}
        watts = max([joules / duration_s, *(_watts(m, self._running(a)) for m in (a, b))])
        doubt = max(_STEP_J * len(given), watts * min(UPDATE_S, duration_s))
        return {"battery": Energy(joules, max(0.0, joules - doubt), joules + doubt, "measured")}

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        """That it was not discharging, and that the window is short."""
        if self._paused(a, b):
            return ("battery: it was charged, or not there, during this window; it is left out",)
        if not self._running(a):
            return ("battery: it is not discharging, so nothing is read from it",)
        said = ["battery: the whole machine, screen and radios included; it is not added to other domains"]
        if b.time_s - a.time_s < self.resolution_s:
            said.append(
                f"battery: {b.time_s - a.time_s:.3g} s is short for it; measure {self.resolution_s:g} s or more"
            )
        return tuple(said)

    def _running(self, mark: Mark) -> list[str]:
        return [name for name, battery in mark.state.batteries.items() if battery.cell is not None]

    def _paused(self, a: Mark, b: Mark) -> bool:
        first, last = a.state.batteries, b.state.batteries
        return any(first[name].epoch != last[name].epoch for name in first)

    def _read(self) -> None:
        now = self._clock()
        elapsed_s = max(0.0, now - self._at_s)
        for name, folder in self._folders.items():
            self._batteries[name] = _after(self._batteries[name], look(folder), elapsed_s)
        self._at_s = now


def _after(before: _Battery, cell: Cell | None, elapsed_s: float) -> _Battery:
    """A battery after one more look. What starts, ends or gains while it discharges begins a new epoch."""
    if cell is None or before.cell is None:
        changed = (cell is None) != (before.cell is None)
        power = None if cell is None or cell.watts is None else Channel(cell.watts)
        return _Battery(before.given_j, cell, power, before.epoch + changed)
    given = _drop(before.cell, cell)
    power = before.power
    if cell.watts is not None:
        power = Channel(cell.watts) if power is None else step(power, cell.watts, elapsed_s, 5 * _POLL_S)
    if given is None and before.power is not None and power is not None:
        given = power.joules - before.power.joules
    if given is None or given < 0:
        return _Battery(before.given_j, cell, power, before.epoch + 1)
    return _Battery(before.given_j + given, cell, power, before.epoch)


def _drop(before: Cell, after: Cell) -> float | None:
    """Joules less than before. Of a charge it is the charge given times the voltage: the voltage of a battery moves by
    more than a window's energy, were it multiplied by all that is left."""
    if before.joules is not None and after.joules is not None:
        return before.joules - after.joules
    if before.coulombs is None or after.coulombs is None or before.volts is None or after.volts is None:
        return None
    return (before.coulombs - after.coulombs) * (before.volts + after.volts) / 2


def _given(first: _Battery, last: _Battery) -> float:
    return max(0.0, last.given_j - first.given_j)


def _watts(mark: Mark, names: list[str]) -> float:
    cells = [mark.state.batteries[name].cell for name in names]
    return sum(cell.watts or 0.0 for cell in cells if cell is not None)


def open_meter(root: Path = ROOT) -> BatteryMeter | None:
    """A meter of this machine's batteries; None where there is none. On mains it is there and reads nothing."""
    folders = find(root)
    return BatteryMeter(folders) if folders else None


def probe(root: Path = ROOT) -> tuple[Probe, ...]:
    """Each battery, and whether it discharges."""
    folders = find(root)
    if not folders:
        return (Probe("battery", str(root), "absent", "this machine has no battery", ""),)
    return tuple(_probe(folder) for folder in folders)


def _probe(folder: Path) -> Probe:
    status = _text(folder / "status") or "of unknown status"
    if look(folder) is not None:
        return Probe("battery", str(folder), "ready", "discharging; the whole machine, not added to packages", "")
    if status == "Discharging":
        return Probe("battery", str(folder), "closed", "it shows neither energy, charge with voltage, nor power", "")
    return Probe("battery", str(folder), "closed", f"{status.lower()}: it is read while it discharges", "unplug it")
