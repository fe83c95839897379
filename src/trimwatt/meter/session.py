"""`with meter() as m:` and what it read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

from trimwatt import units
from trimwatt.energy import Energy, Reading
from trimwatt.errors import InputError
from trimwatt.meter import attribute, cpu_model, powercap, usage
from trimwatt.meter import pick as _pick
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.rapl import RaplMeter

P = ParamSpec("P")
R = TypeVar("R")


class meter:
    """Meters a block of code: this process, its children, and the machine around them.

    Silent; no file, no network. Windows may be nested. `reading` is there once the block is left, also by an error.

        with trimwatt.meter("train") as m:
            train()
        print(m.reading.process)
    """

    def __init__(self, name: str | None = None, *, sensor: Meter | None = None) -> None:
        self.name = name
        self.sensor = sensor or _shared(powercap.root())
        self._start: Mark | None = None
        self._reading: Reading | None = None

    @property
    def reading(self) -> Reading:
        """What was read; raises InputError while the block still runs."""
        if self._reading is None:
            raise InputError("there is no reading yet: leave the `with meter()` block first")
        return self._reading

    def __enter__(self) -> meter:
        self._reading = None
        self._start = self.sensor.mark()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._start is not None:
            self._reading = read(self.sensor, self._start, self.sensor.mark())

    def __str__(self) -> str:
        head = f"{self.name}: " if self.name else ""
        return head + (summary(self._reading) if self._reading else "not read yet")

    def _repr_html_(self) -> str:
        import html

        return f"<p>{html.escape(str(self))}</p>"


@functools.lru_cache(maxsize=1)
def _shared(root: Path) -> Meter:
    """One sensor for all windows of this process; looking for it each time would cost more than the reading."""
    return _pick.pick()


def metered(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that `function.reading` holds the reading of its last call."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        window = meter(function.__name__)
        try:
            with window:
                return function(*args, **kwargs)
        finally:
            wrapper.reading = window.reading  # type: ignore[attr-defined]

    return wrapper


def read(sensor: Meter, a: Mark, b: Mark) -> Reading:
    """All that a sensor tells of the time between two marks."""
    domains = _with_closed_packages(sensor, a, b)
    tell = getattr(sensor, "warnings", None)
    return Reading(
        energy=attribute.machine(domains),
        process=attribute.process_share(sensor, a, b),
        domains=domains,
        duration_s=max(0.0, b.time_s - a.time_s),
        cpu_s=max(0.0, b.cpu_s - a.cpu_s),
        peak_rss_bytes=usage.peak_rss_bytes(),
        coverage=coverage(domains),
        warnings=tuple(tell(a, b)) if tell else (),
    )


def _with_closed_packages(sensor: Meter, a: Mark, b: Mark) -> dict[str, Energy]:
    """What was read, and for each package that is there but could not be, an equal part of the model."""
    domains = sensor.between(a, b)
    if not isinstance(sensor, RaplMeter):
        return domains
    known = [z.domain for z in sensor.zones] + list(sensor.closed)
    packages = [d for d in known if d.startswith("package") and f"mirror:{d}" not in domains]
    missing = [d for d in packages if d not in domains]
    if not missing:
        return domains
    model = cpu_model.detect()
    whole = model.between(Mark(a.time_s, a.cpu_s, a.state.busy_s), Mark(b.time_s, b.cpu_s, b.state.busy_s))["cpu"]
    return {**domains, **{d: whole.scaled(1 / len(packages)) for d in missing}}


def coverage(domains: dict[str, Energy]) -> float:
    """The share of the drawing parts that were measured: each package is one part, its memory another."""
    packages = [d for d in domains if d.startswith("package")]
    drams = [d for d in domains if d.startswith("dram")]
    parts = 2 * len(packages)
    read_parts = sum(domains[d].origin == "measured" for d in packages) + min(len(drams), len(packages))
    return read_parts / parts if parts else 0.0


def summary(reading: Reading) -> str:
    """A reading in one line."""
    process = f"process {reading.process}" if reading.process else "process unknown"
    machine = f"machine {reading.energy}" if reading.energy else "machine unknown"
    return f"{process}; {machine}; {units.seconds(reading.duration_s)}, {units.seconds(reading.cpu_s)} of CPU"
