"""One recorder under all callbacks: named phases of a training, nested, each with its reading."""

from __future__ import annotations

import csv
import dataclasses
import logging
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trimwatt.energy import Energy, Reading
from trimwatt.errors import InputError
from trimwatt.meter._base import Meter
from trimwatt.meter.session import meter, summary

COLUMNS = ("phase", "index", "within", "joules", "low", "high", "origin", "of", "duration_s", "cpu_s")


@dataclass(frozen=True)
class Phase:
    """One part of a run: its `name` (train, epoch, validate, predict), which one it was, the phase around it."""

    name: str
    index: int | None
    within: str | None
    reading: Reading

    @property
    def title(self) -> str:
        return self.name if self.index is None else f"{self.name} {self.index}"

    @property
    def booked(self) -> tuple[Energy | None, str]:
        """The energy to book for this phase and whose it is: the process's, the machine's where that is unknown."""
        return (self.reading.process, "process") if self.reading.process else (self.reading.energy, "machine")

    def to_row(self) -> dict[str, Any]:
        """One row of `COLUMNS`; what is unknown is None."""
        energy, of = self.booked
        told = energy.to_dict() if energy else dict.fromkeys(("joules", "low", "high", "origin"))
        times = {"duration_s": self.reading.duration_s, "cpu_s": self.reading.cpu_s}
        return {"phase": self.name, "index": self.index, "within": self.within, **told, "of": energy and of, **times}

    def metrics(self) -> dict[str, float]:
        """What a training logger is told; nothing where nothing is known."""
        energy, _ = self.booked
        if energy is None:
            return {}
        return {"energy/joules": energy.joules, "energy/joules_low": energy.low, "energy/joules_high": energy.high}

    @property
    def source(self) -> str | None:
        """The value of the tag `energy.source`: measured, estimated or mixed."""
        energy, _ = self.booked
        return energy.origin if energy else None


def metrics_or_nan(phase: Phase | None) -> dict[str, float]:
    """The same for a table that wants a value in each row: nan where nothing is known."""
    names = ("energy/joules", "energy/joules_low", "energy/joules_high")
    return {**dict.fromkeys(names, math.nan), **(phase.metrics() if phase else {})}


@dataclass(eq=False)
class Window:
    """A phase that still runs."""

    name: str
    index: int | None
    within: str | None
    meter: meter
    note: str = ""


@dataclass
class Recorder:
    """Phases of one or several runs, in the order in which they ended.

    Windows nest: `end` ends the innermost of its name and drops what was left open inside it. None of `begin`, `end`
    and `close` raises: a fault becomes one warning, is kept in `faults`, and the run that is metered goes on.
    sensor: the meter to read; None is the best of this machine.
    """

    sensor: Meter | None = None
    phases: list[Phase] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._open: list[Window] = []
        self._lock = threading.Lock()

    def begin(self, name: str, index: int | None = None, *, within: str | None = None, note: str = "") -> Window | None:
        """Open a phase inside those that are open. note: a warning to keep with its reading."""
        try:
            inside = within or (self._open[-1].name if self._open else None)
            window = Window(name, index, inside, meter(name, sensor=self.sensor), note)
            window.meter.__enter__()
        except Exception as error:
            self.fault(f"the energy of {name} is not known: {error}")
            return None
        with self._lock:
            self._open.append(window)
        return window

    def end(self, which: str | Window, *, named: str | None = None) -> Phase | None:
        """Close a phase, by its name or as `begin` gave it; None where none such is open.

        named: what it turned out to be, where that was not known at its beginning.
        """
        window = self._take(which)
        if window is None:
            return None
        try:
            window.meter.__exit__(None, None, None)
            phase = Phase(
                named or window.name, window.index, window.within, _with_note(window.meter.reading, window.note)
            )
        except Exception as error:
            self.fault(f"the energy of {window.name} is not known: {error}")
            return None
        with self._lock:
            self.phases.append(phase)
        return phase

    def drop(self, which: str | Window) -> None:
        """Forget an open phase, and what is open inside it."""
        self._take(which)

    def _take(self, which: str | Window) -> Window | None:
        with self._lock:
            if isinstance(which, Window):
                found = which if which in self._open else None
                self._open = [w for w in self._open if w is not which]
                return found
            names = [window.name for window in self._open]
            if which not in names:
                return None
            at = len(names) - 1 - names[::-1].index(which)
            found, self._open = self._open[at], self._open[:at]
            return found

    def close(self, note: str = "ended before its time") -> None:
        """End all that is open, innermost first, and say so in the readings."""
        while self._open:
            window = self._open[-1]
            window.note = window.note or note
            self.end(window)

    def is_open(self, name: str) -> bool:
        return any(window.name == name for window in self._open)

    @contextmanager
    def phase(self, name: str, index: int | None = None) -> Iterator[None]:
        """Meter a block as a phase."""
        window = self.begin(name, index)
        try:
            yield
        finally:
            if window is not None:
                self.end(window)

    def fault(self, message: str) -> None:
        """Keep what went wrong and warn of it once; where warnings are errors it goes to the log instead."""
        if message in self.faults:
            return
        self.faults.append(message)
        try:
            warnings.warn(message, RuntimeWarning, stacklevel=3)
        except RuntimeWarning:
            logging.getLogger("trimwatt").warning(message)

    @property
    def readings(self) -> dict[str, Reading]:
        """Readings by "train", "epoch 0", "validate 0" ...; one that comes again is "train (2)"."""
        found: dict[str, Reading] = {}
        for phase in self.phases:
            again = sum(name == phase.title or name.startswith(f"{phase.title} (") for name in found)
            found[f"{phase.title} ({again + 1})" if again else phase.title] = phase.reading
        return found

    @property
    def history(self) -> list[dict[str, Any]]:
        """One dict for each epoch: its index, metrics as loggers get them, origin, seconds."""
        return [
            {"epoch": p.index, **p.metrics(), "energy.source": p.source, "duration_s": p.reading.duration_s}
            for p in self.phases if p.name == "epoch"
        ]  # fmt: skip

    def to_rows(self) -> list[dict[str, Any]]:
        return [phase.to_row() for phase in self.phases]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of schema trimwatt/phases/1; each phase holds a trimwatt/reading/1."""
        told = [{"phase": p.name, "index": p.index, "within": p.within, "reading": p.reading.to_dict()}
                for p in self.phases]  # fmt: skip
        return {"schema": "trimwatt/phases/1", "phases": told, "warnings": list(self.faults)}

    def to_csv(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the rows; raises InputError where the file is there and `overwrite` was not asked."""
        path = Path(path)
        if path.exists() and not overwrite:
            raise InputError(f"{path} is there already; name another file or give overwrite=True")
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.to_rows())
        return path

    def __str__(self) -> str:
        return "\n".join(f"{phase.title}: {summary(phase.reading)}" for phase in self.phases) or "nothing recorded yet"

    def __getstate__(self) -> dict[str, Any]:
        """What may travel to a copy: what was recorded, not the windows that run nor the lock."""
        return {"sensor": self.sensor, "phases": list(self.phases), "faults": list(self.faults)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()


def _with_note(reading: Reading, note: str) -> Reading:
    return dataclasses.replace(reading, warnings=(*reading.warnings, note)) if note else reading
