"""A recorded power trace from CSV, such as a smart plug's log, laid over the machine's clock.

The domain is "wall": the whole machine at the wall, power supply included. It is never added to packages or cards; it
counts only where a reading has nothing narrower, and serves to calibrate what is narrower.

    time,watts                      time (ms),power [mW]              timestamp,power_w
    2026-11-21T05:00:00+01:00,41.2  0,41200                           1795237200,41.2

Times are ISO 8601 (without a zone they are this machine's local time), seconds since 1970, or seconds from a start.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trimwatt.energy import Energy
from trimwatt.errors import InputError
from trimwatt.meter import usage
from trimwatt.meter._base import Mark, Probe
from trimwatt.meter.trace_csv import read_columns

# what a plug of a good make promises, at 95 %
ACCURACY = 0.02
# so many usual intervals without a sample are a gap
_GAP = 5.0
_YEAR_2001_S = 1e9
# logs are written every second to every quarter of an hour; two samples alone do not tell what is usual
_SELDOM_S, _TWO_S = 3600.0, 60.0


@dataclass(frozen=True)
class Trace:
    """Power over time. time_s, watts: (n,), n >= 2, time rising. gap_s: two samples further apart leave a hole.

    times since 1970 where `is_absolute`, else from any start. every_s: the usual time between samples.
    """

    time_s: NDArray[np.float64]
    watts: NDArray[np.float64]
    gap_s: float
    every_s: float

    @property
    def is_absolute(self) -> bool:
        return bool(self.time_s[0] > _YEAR_2001_S)

    def hole_s(self, start_s: float, end_s: float) -> float:
        """Seconds of a window that the trace says nothing about."""
        outside = max(0.0, self.time_s[0] - start_s) + max(0.0, end_s - self.time_s[-1])
        wide = np.diff(self.time_s) > self.gap_s
        overlap = np.minimum(self.time_s[1:], end_s) - np.maximum(self.time_s[:-1], start_s)
        return float(min(outside, end_s - start_s) + np.clip(overlap[wide], 0, None).sum())

    def energy(self, start_s: float, end_s: float, align_s: float = 0.0, accuracy: float = ACCURACY) -> Energy | None:
        """Joules between two times of the trace, None where it has a hole there.

        The interval holds that power may step anywhere between two samples, that the clocks may be `align_s` seconds
        apart, and the plug's own `accuracy` (relative).
        """
        if self.hole_s(start_s, end_s) > 0:
            return None
        inside = (self.time_s > start_s) & (self.time_s < end_s)
        times = np.concatenate([[start_s], self.time_s[inside], [end_s]])
        watts = np.interp(times, self.time_s, self.watts)
        joules = float(np.trapezoid(watts, times))
        steps = float((np.abs(np.diff(watts)) / 2 * np.diff(times)).sum())
        doubt = steps + accuracy * joules + align_s * (self._swing(start_s, align_s) + self._swing(end_s, align_s))
        return Energy(joules, max(0.0, joules - doubt), joules + doubt, "measured")

    def _swing(self, at_s: float, align_s: float) -> float:
        """By how many watts power moves around a moment."""
        if align_s == 0:
            return 0.0
        near = (self.time_s >= at_s - align_s) & (self.time_s <= at_s + align_s)
        ends = np.interp([at_s - align_s, at_s, at_s + align_s], self.time_s, self.watts)
        return float(np.ptp(np.concatenate([ends, self.watts[near]])))


def read_trace(path: Path | str, gap_s: float | None = None) -> Trace:
    """The trace in a CSV file. gap_s: None takes five times the usual interval.

    Raises InputError for a file that cannot be read, a unit nobody knows, times that go back, power below zero, fewer
    than two samples, and samples so far apart that nothing is known of the time between them.
    """
    times, watts = read_columns(Path(path))
    # a log with coarse stamps has several samples in one: their mean is all that can be said
    unique, where = np.unique(times, return_inverse=True)
    mean = np.bincount(where, weights=watts) / np.bincount(where)
    if len(unique) < 2:
        raise InputError(f"a power trace needs two samples or more, {path} has {len(unique)}; log for longer")
    every_s = float(np.median(np.diff(unique)))
    if gap_s is None and every_s > (_TWO_S if len(unique) == 2 else _SELDOM_S):
        raise InputError(
            f"{path} has {len(unique)} samples, {every_s:,.0f} s apart: too seldom to tell what was drawn in between; "
            "log every few seconds, or give gap_s"
        )
    gap = _GAP * every_s if gap_s is None else gap_s
    if gap <= 0 or not math.isfinite(gap):
        raise InputError(f"gap_s is seconds above zero, got {gap_s}")
    return Trace(unique, mean, gap, every_s)


class TraceMeter:
    """Reads the energy of windows out of a trace; the file may still grow, it is read again when it has changed.

    offset_s: seconds that the log's clock is ahead of this machine's. A trace whose times are not since 1970 is taken
    to start when the meter is made. clock: monotonic seconds; wall: seconds since 1970.
    """

    name = "trace"
    origin = "measured"

    def __init__(
        self,
        path: Path | str,
        offset_s: float = 0.0,
        accuracy: float = ACCURACY,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self.trace = read_trace(self.path)
        self.accuracy = accuracy
        self._clock = clock
        self._changed = _changed(self.path)
        self._trouble = ""
        zero = wall() if self.trace.is_absolute else float(self.trace.time_s[0])
        self._shift_s = zero - clock() + offset_s

    @property
    def resolution_s(self) -> float:
        return 10 * self.trace.every_s

    def mark(self) -> Mark:
        return Mark(self._clock(), usage.tree_cpu_s(), TraceState(usage.machine_busy_s()))

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        """`wall`, where the trace covers the whole window."""
        self._refresh()
        energy = self.trace.energy(*self._window(a, b), self._align_s, self.accuracy)
        return {} if energy is None else {"wall": energy}

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        """Holes, a window shorter than the log is dense, and a file that can no longer be read."""
        self._refresh()
        start_s, end_s = self._window(a, b)
        hole_s = self.trace.hole_s(start_s, end_s)
        said = [self._trouble] if self._trouble else []
        if hole_s > 0:
            said.append(f"wall: {self.path.name} has no samples for {hole_s:.3g} s of this window; it is left out")
        if end_s - start_s < self.resolution_s:
            said.append(
                f"wall: {end_s - start_s:.3g} s is short for a log of every {self.trace.every_s:.3g} s; measure"
                f" {self.resolution_s:.3g} s or more"
            )
        return tuple(said)

    @property
    def _align_s(self) -> float:
        """How far the two clocks may be apart: two stamps' worth, where the trace has a clock of its own."""
        return self.trace.every_s if self.trace.is_absolute else 0.0

    def _window(self, a: Mark, b: Mark) -> tuple[float, float]:
        return a.time_s + self._shift_s, max(a.time_s, b.time_s) + self._shift_s

    def _refresh(self) -> None:
        changed = _changed(self.path)
        if changed == self._changed:
            return
        self._changed, self._trouble = changed, ""
        try:
            self.trace = read_trace(self.path)
        except InputError as error:
            self._trouble = f"wall: the trace can no longer be read, what was read before stands: {error}"


@dataclass(frozen=True)
class TraceState:
    """CPU seconds of the whole machine."""

    busy_s: float | None


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def open_meter(path: Path | str | None = None, offset_s: float = 0.0) -> TraceMeter | None:
    """A meter of this log; None where none is named, since no place is usual for one."""
    return None if path is None else TraceMeter(path, offset_s)


def probe(path: Path | str | None = None) -> tuple[Probe, ...]:
    """Whether a log can be used."""
    if path is None:
        return (Probe("trace", "", "absent", "no power log is named", ""),)
    try:
        trace = read_trace(path)
    except InputError as error:
        return (Probe("trace", str(path), "closed", str(error), ""),)
    said = f"{len(trace.time_s)} samples, one every {trace.every_s:.3g} s; the whole machine, not added to packages"
    return (Probe("trace", str(path), "ready", said, ""),)
