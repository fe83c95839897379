"""From a trusted sensor to a calibration that is kept: what `trimwatt doctor --calibrate` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from trimwatt import units
from trimwatt.energy import Energy
from trimwatt.errors import InputError, SensorAbsent
from trimwatt.meter import attribute, battery, calibration, cpu_model, perf, rapl, usage
from trimwatt.meter import calibrate as fitting
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.calibrate import Fit, Window
from trimwatt.meter.calibration import Calibration
from trimwatt.meter.trace import TraceMeter, read_trace

Source = Literal["counters", "battery"] | Path
# a plug's log and this machine's clock may differ by so much
_ALIGN_S = 1.0
_LATE_S = 10.0


def times(text: str) -> tuple[float, ...]:
    """Seconds of the three phases, from "30s" or "20s,30s,30s"."""
    given = [units.parse_duration(part) for part in text.split(",")]
    if len(given) not in (1, 3):
        raise InputError(f"--phases is one time or three (idle, one thread, all), got {text!r}; write it like 30s")
    return tuple(given * (3 // len(given)))


def record(path: Path, seconds: Sequence[float], say: Callable[[str], None]) -> None:
    """Run the load and keep what ran when."""
    schedule = fitting.phases(seconds, usage.machine_threads())
    # a folder that cannot be written is said before the load, not after
    fitting.save_windows([], path)
    fitting.save_windows([window for window, _ in fitting.run(schedule, say=say)], path)


def calibrate(
    source: Source, seconds: Sequence[float], load: Path | None, say: Callable[[str], None]
) -> tuple[Calibration, Path]:
    """Fit this machine's model to `source`, and keep it. load: windows that were run before, for a log.

    Raises SensorAbsent where the source cannot be read, InputError where it cannot be fitted or kept.
    """
    if load is not None and isinstance(source, Path):
        windows = fitting.load_windows(load)
        log = read_trace(source)
        energies = [log.energy(w.start_s, w.end_s, _ALIGN_S) for w in windows]
    else:
        meter = _open(source)
        ran = fitting.run(fitting.phases(seconds, usage.machine_threads()), meter, say=say)
        windows = [window for window, _ in ran]
        if ran[-1][1] is not None:
            _await(meter, ran[-1][1])
        energies = [_energy(meter, marks) for _, marks in ran]
    fit = _fit(windows, energies, source)
    name, scope = _described(source)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = Calibration(fit.idle_w, fit.joules_per_cpu_s, name, scope, now, fit.windows, cpu_model.machine())
    file = calibration.save(found, calibration.path())
    cpu_model.detect.cache_clear()
    return found, file


def _open(source: Source) -> Meter:
    if isinstance(source, Path):
        return TraceMeter(source)
    meter = battery.open_meter() if source == "battery" else rapl.open_meter() or perf.open_meter()
    if meter is None:
        raise SensorAbsent(f"no {source} can be read here to calibrate to; `trimwatt doctor` shows what is missing")
    return meter


def _await(meter: Meter, last: tuple[Mark, Mark]) -> None:
    """Give a log that is still being written time to reach the end of the load."""
    for _ in range(int(_LATE_S / 0.5) if isinstance(meter, TraceMeter) else 0):
        if meter.between(*last):
            return
        time.sleep(0.5)


def _energy(meter: Meter, marks: tuple[Mark, Mark] | None) -> Energy | None:
    """What processor, memory or the whole machine took; accelerators have sensors of their own."""
    return None if marks is None else attribute.machine(meter.between(*marks))


def _fit(windows: Sequence[Window], energies: Sequence[Energy | None], source: Source) -> Fit:
    pairs = [(w, e) for w, e in zip(windows, energies, strict=True) if e is not None]
    if len(pairs) < max(6, 0.8 * len(windows)):
        what = f"{source.name} covers" if isinstance(source, Path) else f"the {source} gave"
        more = (
            "; check that its times are since 1970 or with a date, or export it later and give --load"
            if isinstance(source, Path)
            else "; on battery it must discharge all the while"
            if source == "battery"
            else ""
        )
        raise InputError(f"{what} only {len(pairs)} of {len(windows)} windows of the load{more}")
    return fitting.fit([w for w, _ in pairs], [e for _, e in pairs])


def _described(source: Source) -> tuple[str, str]:
    if isinstance(source, Path):
        return f"trace {source.name}", "the whole machine as the log saw it"
    if source == "battery":
        return "battery", "the whole machine, screen included"
    return "energy counters", "packages and DRAM that have a counter; no disks, fans or power supply"
