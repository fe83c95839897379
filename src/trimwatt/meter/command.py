"""A command under the meter: `run` it once, or `follow` one that runs already."""

from __future__ import annotations

import contextlib
import select
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from trimwatt import units
from trimwatt.energy import Energy, Reading
from trimwatt.meter import attribute, cpu_model, session, usage
from trimwatt.meter._base import Mark, Meter

_FIRST_LOOK_S, _LAST_LOOK_S = 0.02, 0.2


@dataclass(frozen=True)
class Run:
    """One run of a command. exit_code: as a shell gives it, 128 + n for signal n. stopped_by: a signal we were sent."""

    reading: Reading
    exit_code: int
    stopped_by: int | None = None


def launcher() -> ModuleType:
    """How commands are started on this system."""
    from trimwatt.meter import _elsewhere, launch

    return launch if hasattr(signal, "sigtimedwait") else _elsewhere


def run(command: Sequence[str], sensor: Meter | None = None, stdout_to_stderr: bool = False) -> Run:
    """Run `command` (no shell) to its end and read what it took; its streams are ours.

    To be called within `launcher().ready()`. Raises launch.NotStarted. A sensor that breaks is replaced by the model of
    CPU time, and the reading says so: the command's run and exit code are its own.
    """
    system = launcher()
    watch = _Watch(sensor)
    launched = system.start(command, stdout_to_stderr)
    code = system.wait(launched)
    reading = watch.stop(launched.cpu_s())
    said = list(reading.warnings)
    if left := len(launched.living()):
        said.append(
            f"it left {left} process{'es' if left > 1 else ''} running; what they do from now on is not counted"
        )
    if launched.paused_s > 0:
        said.append(f"it was stopped for {units.seconds(launched.paused_s)}, which is in the duration")
    reading = replace(reading, peak_rss_bytes=launched.peak_rss_bytes(), warnings=tuple(said))
    return Run(reading, code, launched.stopped_by)


def follow(pid: int, duration_s: float | None = None, sensor: Meter | None = None) -> Reading:
    """Read what a running process and its children take until it ends, `duration_s` has passed, or Ctrl-C or SIGTERM.

    Raises InputError where there is no such process.
    """
    tree = usage.Tree(pid)
    watch = _Watch(sensor, tree.threads())
    first_s = tree.cpu_s()
    peak, gap_s = tree.peak_rss_bytes(), 0.0
    end = None if duration_s is None else time.monotonic() + duration_s
    with _interruptible(), contextlib.suppress(KeyboardInterrupt):
        for gap_s in _looks(pid, end):  # noqa: B007
            tree.cpu_s()
            peak = tree.peak_rss_bytes() or peak
            if tree.gone():
                break
    ended = tree.gone()
    reading = watch.stop(tree.cpu_s() - first_s, tree.pids())
    said = (f"it ended up to {units.seconds(gap_s)} after we last looked; its work since then is not counted",)
    return replace(reading, peak_rss_bytes=peak, warnings=reading.warnings + (said if ended and gap_s else ()))


def _looks(pid: int, end: float | None) -> Iterator[float]:
    """Yield the seconds since the last look, again and again; early when the process ends, where the system tells."""
    descriptor = _descriptor(pid)
    between_s = _FIRST_LOOK_S
    try:
        while True:
            began = time.monotonic()
            left = between_s if end is None else min(between_s, end - began)
            if left <= 0:
                return
            if descriptor is None:
                time.sleep(left)
            else:
                select.select([descriptor], [], [], left)
            between_s = min(_LAST_LOOK_S, between_s * 1.5)
            yield time.monotonic() - began
    finally:
        if descriptor is not None:
            import os

            os.close(descriptor)


def _descriptor(pid: int) -> int | None:
    """A file descriptor that becomes readable when the process ends (Linux)."""
    import os

    opened: Any = getattr(os, "pidfd_open", None)
    if opened is not None:
        with contextlib.suppress(OSError):
            return int(opened(pid))
    return None


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C: end the reading, not lose it."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    kept = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


class _Watch:
    """A window around work that is not ours; from now until `stop`."""

    def __init__(self, sensor: Meter | None, threads: float | None = None) -> None:
        self._threads = threads
        self._said: tuple[str, ...] = ()
        try:
            self._sensor = sensor or session.meter().sensor
            self._start = self._sensor.mark()
        except Exception as error:
            self._fall_back(error)

    def stop(self, cpu_s: float, pids: frozenset[int] | None = None) -> Reading:
        """What was read, the process's part being that of `cpu_s` CPU seconds."""
        try:
            return self._read(self._sensor.mark(), cpu_s, pids)
        except Exception as error:
            start = self._start
            self._fall_back(error)
            self._start = Mark(start.time_s, start.cpu_s, None)
            return self._read(self._sensor.mark(), cpu_s, pids)

    def _read(self, end: Mark, cpu_s: float, pids: frozenset[int] | None) -> Reading:
        a = self._start
        # no more than was there, whatever the two clocks say
        b = replace(end, cpu_s=a.cpu_s + max(0.0, cpu_s))
        reading = session.read(self._sensor, a, b)
        if self._threads is not None or pids is not None:
            share: Energy = attribute.process_share(self._sensor, a, b, cpu_s, self._threads, pids)
            reading = replace(reading, process=share)
        return replace(reading, warnings=self._said + reading.warnings)

    def _fall_back(self, error: Exception) -> None:
        name = getattr(getattr(self, "_sensor", None), "name", "the sensor")
        self._said = (f"{name} failed ({type(error).__name__}: {error}); estimated from CPU time instead",)
        self._sensor = cpu_model.detect()
        self._start = self._sensor.mark()
