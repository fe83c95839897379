"""A command under the meter: `run` it once, or `follow` one that runs already."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from trimwatt import units
from trimwatt.energy import Reading
from trimwatt.host.counting import Counter
from trimwatt.meter import session, usage
from trimwatt.meter._base import Meter
from trimwatt.meter.combined import as_combined
from trimwatt.meter.windows import read

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


def run(
    command: Sequence[str], sensor: Meter | None = None, stdout_to_stderr: bool = False, counter: Counter | None = None
) -> Run:  # fmt: skip
    """Run `command` (no shell) to its end and read what it took; its streams are ours.

    To be called within `launcher().ready()`, which gives `counter`. Raises launch.NotStarted. A sensor that breaks is a
    warning in the reading: the command's run and exit code are its own.
    """
    system, meter = launcher(), as_combined(sensor or session.meter().sensor)
    a = meter.mark()
    launched = system.start(command, stdout_to_stderr, counter)
    code = system.wait(launched)
    reading = read(meter, a, meter.mark(), launched, launched.cpu_s())
    said = list(reading.warnings)
    if left := len(launched.living()):
        said.append(
            f"it left {left} process{'es' if left > 1 else ''} running; what they used until then is counted, what "
            "they do from now on is not"
        )
    if missing := launched.missing():
        said.append(f"not all processes were counted: {missing}")
    if launched.paused_s > 0:
        said.append(f"it was stopped for {units.seconds(launched.paused_s)}, which is in the duration")
    return Run(replace(reading, warnings=tuple(said)), code, launched.stopped_by)


def follow(pid: int, duration_s: float | None = None, sensor: Meter | None = None) -> Reading:
    """Read what a running process and its children take until it ends, `duration_s` has passed, or Ctrl-C or SIGTERM.

    Raises InputError where there is no such process.
    """
    meter, tree = as_combined(sensor or session.meter().sensor), usage.Tree(pid)
    a, first_s = meter.mark(), tree.cpu_s()
    peak, pids = tree.peak_rss_bytes(), tree.pids()
    end = None if duration_s is None else time.monotonic() + duration_s
    with _interruptible(), contextlib.suppress(KeyboardInterrupt):
        for _ in _looks(pid, end):
            tree.cpu_s()
            peak, pids = tree.peak_rss_bytes() or peak, pids | tree.pids()
            if tree.gone():
                break
    reading = read(meter, a, meter.mark(), _Followed(tree, pids), tree.cpu_s() - first_s)
    return replace(reading, peak_rss_bytes=peak)


class _Followed(usage.Own):
    """A tree and all processes that were seen in it: a card still tells what one that has ended used."""

    def __init__(self, tree: usage.Tree, pids: frozenset[int]) -> None:
        self._tree, self._pids, self.label = tree, pids, tree.label

    def threads(self) -> float:
        return self._tree.threads()

    def pids(self) -> frozenset[int]:
        return self._pids

    def gone(self) -> bool:
        return self._tree.gone()


def _looks(pid: int, end: float | None) -> Iterator[None]:
    """Time for another look, again and again; early when the process ends, where the system tells."""
    descriptor = _descriptor(pid)
    between_s = _FIRST_LOOK_S
    try:
        while True:
            left = between_s if end is None else min(between_s, end - time.monotonic())
            if left <= 0:
                return
            if descriptor is None:
                time.sleep(left)
            else:
                select.select([descriptor], [], [], left)
            between_s = min(_LAST_LOOK_S, between_s * 1.5)
            yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _descriptor(pid: int) -> int | None:
    """A file descriptor that becomes readable when the process ends (Linux)."""
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
