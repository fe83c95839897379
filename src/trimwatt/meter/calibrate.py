"""Fits the model of CPU time to a reading that is trusted: idle watts, and joules a CPU second.

    P = idle_w + joules_per_cpu_s * u,     u: CPU seconds of the whole machine a second of wall time

over windows without load, with one thread and with all of them, by least squares with Huber's weights. The 95 %
interval holds the bootstrap over the windows of each phase, the sensor's own doubt, and what each phase alone would say
of a CPU second: real power is no line (it bends where a processor meets its limit), and that is an error of this model.
Huber, P. J. (1964), Robust estimation of a location parameter; Davison and Hinkley (1997), Bootstrap methods, ch. 6.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trimwatt.energy import Energy
from trimwatt.errors import InputError
from trimwatt.meter import usage
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.calibration import Figure

Array = NDArray[np.float64]
# a phase is cut into windows of about this length, seconds
_WINDOW_S = 2.5
_ROUNDS = 2
_SHORTEST_S = 4.0
_BOOTSTRAPS = 500
# in units of the residuals' spread: 95 % efficient where there are no outliers
_HUBER = 1.345
# arithmetic and memory in turn; it ends with whoever started it, by the end of its stdin
_LOAD = """
import select, sys
data = bytearray(range(256)) * 8192
while not select.select([sys.stdin], [], [], 0)[0]:
    sum(i * i for i in range(20000)); data[::-1]
"""


@dataclass(frozen=True)
class Window:
    """A piece of the schedule. threads: how many were kept busy. Times in seconds since 1970; cpu_s: of the machine."""

    threads: int
    start_s: float
    end_s: float
    cpu_s: float

    @property
    def load(self) -> float:
        return self.cpu_s / (self.end_s - self.start_s)


@dataclass(frozen=True)
class Fit:
    """idle_w, joules_per_cpu_s with their intervals. misfit: the most by which a phase misses the line, relative.

    loads: the least and the most u that was seen. windows: how many were fitted.
    """

    idle_w: Figure
    joules_per_cpu_s: Figure
    misfit: float
    loads: tuple[float, float]
    windows: int


def phases(seconds: Sequence[float], threads: int) -> list[tuple[int, float]]:
    """(threads kept busy, seconds) in order: idle, one, all, and again, so that warming up is not taken for load.

    seconds: of idle, one and all together over the rounds. Raises InputError for what is too short to fit.
    """
    if len(seconds) != 3 or min(seconds) < _SHORTEST_S:
        raise InputError(f"a phase takes 4s or more, got {', '.join(f'{s:g}s' for s in seconds)}; the default is 30s")
    counts = (0, 1, threads) if threads > 1 else (0, 1)
    return [(n, s / _ROUNDS) for _ in range(_ROUNDS) for n, s in zip(counts, seconds, strict=False)]


@contextmanager
def loaded(threads: int) -> Iterator[None]:
    """Keep so many threads of the machine busy, each by a process of its own."""
    command = [sys.executable, "-S", "-c", _LOAD]
    busy = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(threads)]  # noqa: S603
    try:
        yield
    finally:
        for process in busy:
            if process.stdin is not None:
                process.stdin.close()
        for process in busy:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def run(
    schedule: Sequence[tuple[int, float]],
    meter: Meter | None = None,
    busy_s: Callable[[], float | None] = usage.machine_busy_s,
    say: Callable[[str], None] = lambda _: None,
) -> list[tuple[Window, tuple[Mark, Mark] | None]]:
    """Run the schedule; each window comes with the meter's marks, which a log may be asked about later.

    meter: None runs the load alone. busy_s: CPU seconds of all that draws what the meter reads. Raises InputError where
    the system does not tell these.
    """
    if busy_s() is None:
        raise InputError("this system does not tell the machine's CPU time, which a calibration needs; use Linux")
    found = []
    for threads, seconds in schedule:
        say(f"{threads or 'no'} thread{'s' * (threads != 1)} busy for {seconds:g} s")
        with loaded(threads):
            # processes start and clocks rise first
            time.sleep(seconds / 8)
            count = max(2, round(seconds / _WINDOW_S))
            found += [_window(threads, seconds * 7 / 8 / count, meter, busy_s) for _ in range(count)]
    return found


def _window(
    threads: int, seconds: float, meter: Meter | None, busy_s: Callable[[], float | None]
) -> tuple[Window, tuple[Mark, Mark] | None]:
    first = meter.mark() if meter else None
    start_s, ticks, before = time.time(), time.monotonic(), busy_s() or 0.0
    time.sleep(seconds)
    last = meter.mark() if meter else None
    # the calendar's clock may be set meanwhile; the length of a window does not follow it
    duration_s, after = time.monotonic() - ticks, busy_s() or 0.0
    window = Window(threads, start_s, start_s + duration_s, max(0.0, after - before))
    return window, None if first is None or last is None else (first, last)


def save_windows(windows: Sequence[Window], path: Path) -> None:
    """Keep what ran when, for a power log that is exported later. Raises InputError where it cannot be written."""
    try:
        path.write_text(json.dumps([asdict(w) for w in windows], indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}; name another file") from error


def load_windows(path: Path) -> list[Window]:
    """What `save_windows` kept. Raises InputError for anything else."""
    try:
        return [Window(int(w["threads"]), w["start_s"], w["end_s"], w["cpu_s"]) for w in _rows(path)]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is no schedule that --save-load wrote ({error}); run that first") from error


def _rows(path: Path) -> list[dict[str, float]]:
    return list(json.loads(path.read_text(encoding="utf-8")))


def fit(windows: Sequence[Window], energies: Sequence[Energy], seed: int = 0, draws: int = _BOOTSTRAPS) -> Fit:
    """The line through the windows' power, with its interval.

    Raises InputError where the machine's load hardly changed, the power does not rise with it, or the sensor is too
    coarse for windows of this length.
    """
    load = np.array([w.load for w in windows])
    span = np.array([w.end_s - w.start_s for w in windows])
    watts = np.array([e.joules for e in energies]) / span
    doubt = np.array([(e.high - e.low) / 2 for e in energies]) / span
    phase = np.array([w.threads for w in windows])
    _check_load(load, phase)
    idle, slope = robust_line(load, watts)
    if slope <= 0 or idle <= 0:
        raise InputError(
            f"power does not rise with load here ({idle:.3g} W idle, {slope:.3g} J a CPU second); is it this machine's?"
        )
    rng = np.random.default_rng(seed)
    drawn = np.array([robust_line(load[i], watts[i]) for i in (_redraw(phase, rng) for _ in range(draws))])
    at = {int(n): _Phase.of(load[phase == n], watts[phase == n], doubt[phase == n]) for n in np.unique(phase)}
    rest, full = at[min(at)], at[max(at)]
    secants = [(p.watts - rest.watts) / (p.load - rest.load) for n, p in at.items() if n != min(at)]
    figures = (
        _figure(idle, [*drawn[:, 0]], [rest.watts], rest.doubt),
        _figure(slope, [*drawn[:, 1]], secants, (rest.doubt + full.doubt) / (full.load - rest.load)),
    )
    _check_width(figures[1], float(np.median(span)))
    misfit = max(abs(p.watts / (idle + slope * p.load) - 1) for p in at.values())
    return Fit(*figures, misfit, (float(load.min()), float(load.max())), len(windows))


@dataclass(frozen=True)
class _Phase:
    """Medians over its windows. doubt: watts, all one way: it does not average out."""

    load: float
    watts: float
    doubt: float

    @classmethod
    def of(cls, load: Array, watts: Array, doubt: Array) -> _Phase:
        return cls(float(np.median(load)), float(np.median(watts)), float(np.median(doubt)))


def _figure(value: float, drawn: list[float], also: list[float], doubt: float) -> Figure:
    """`value`, within the draws' middle 95 %, what else it may be, and a doubt around all that."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Figure(value, max(0.0, min(float(low), value, *also) - doubt), max(float(high), value, *also) + doubt)


def _redraw(phase: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of as many windows of each phase, drawn with replacement."""
    groups = (np.flatnonzero(phase == n) for n in np.unique(phase))
    return np.concatenate([rng.choice(group, len(group)) for group in groups])


def robust_line(x: Array, y: Array) -> tuple[float, float]:
    """Offset and slope of the line through (x, y), each (n,), with Huber's weights: outliers pull less."""
    weight = np.ones_like(x)
    offset, slope = float(np.median(y)), 0.0
    for _ in range(20):
        whole = weight.sum()
        mx, my = (weight * x).sum() / whole, (weight * y).sum() / whole
        across = float((weight * (x - mx) ** 2).sum())
        slope = float((weight * (x - mx) * (y - my)).sum()) / across if across > 0 else 0.0
        offset = float(my - slope * mx)
        rest = np.abs(y - offset - slope * x)
        spread = 1.4826 * float(np.median(rest))
        if spread <= 1e-9 * max(1e-9, abs(offset)):
            break
        weight = np.minimum(1.0, _HUBER * spread / np.maximum(rest, 1e-12))
    return offset, slope


def _check_load(load: Array, phase: NDArray[np.int64]) -> None:
    idle, full = np.median(load[phase == phase.min()]), np.median(load[phase == phase.max()])
    if len(load) < 6 or full - idle < 0.25 * max(1, min(phase.max(), os.cpu_count() or 1)):
        raise InputError(
            f"the machine's load hardly changed ({idle:.2f} threads busy without ours, {full:.2f} with them);"
            " other programs keep it busy: calibrate when it is quiet"
        )


def _check_width(slope: Figure, span_s: float) -> None:
    if slope.low <= 0.1 * slope.value:
        raise InputError(
            f"this reading is too coarse for windows of {span_s:.1f} s ({slope.value:.3g} J a CPU second, known only"
            f" within {slope.low:.3g} to {slope.high:.3g}); give longer phases, such as --phases 10min"
        )
