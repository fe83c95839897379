"""The cost of the search: every joule, by stage, booked by difference.

The process tree's use since the last look always goes to the stage that is open, less what workers inside it report
for their own steps. So the entries add up to what the tree used, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from trimwatt.energy import Energy, total
from trimwatt.meter import attribute, cpu_model, usage
from trimwatt.meter._base import Mark, Meter
from trimwatt.study.start import Start
from trimwatt.study.worker import Usage
from trimwatt.trial import LedgerEntry, Stage

# the longest that is lost where the study is killed between two stages, seconds
_UNKEPT_S = 1.0


@dataclass
class Open:
    """A stage that is going on: what it took so far, and what others have reported since the last look."""

    stage: Stage
    trial: str | None
    step: str
    energy: Energy | None = None
    cpu_s: float = 0.0
    duration_s: float = 0.0
    reported: list[LedgerEntry] = field(default_factory=list)

    def add(self, energy: Energy, cpu_s: float, duration_s: float) -> None:
        """Take in what was used since the last look."""
        self.energy = energy if self.energy is None else self.energy + energy
        self.cpu_s += cpu_s
        self.duration_s += duration_s

    def entry(self) -> LedgerEntry | None:
        """What it took, once, for the books; None where it took nothing since."""
        energy, self.energy = self.energy, None
        if energy is None:
            return None
        made = LedgerEntry(self.stage, self.trial, energy, self.cpu_s, self.duration_s, self.step)
        self.cpu_s = self.duration_s = 0.0
        return made


class Ledger:
    """Entries in the order they were booked; `take_pending` hands those over that are not durable yet.

    start: from when on it counts. What was used until the meter's first look is an entry of its own, estimated.
    """

    def __init__(self, meter: Meter, start: Start | None = None) -> None:
        self.meter = meter
        self.entries: list[LedgerEntry] = []
        self.pending: list[LedgerEntry] = []
        self.keep: Callable[[list[LedgerEntry]], None] | None = None
        self._open = [Open("prepare", None, "data, model and worker processes")]
        self._last = self._kept = meter.mark()
        self._owed_cpu_s = self._owed_s = 0.0
        self._earlier = 0
        self._is_closed = False
        self.start = start or Start(self._last.time_s, self._last.cpu_s)
        if start is not None:
            self._add([_before(start, self._last)])

    def resume(self, entries: Sequence[LedgerEntry]) -> None:
        """Go on from what earlier runs booked and kept."""
        self._earlier = len(entries)
        self.entries = [*entries, *self.entries]

    @contextmanager
    def booking(self, stage: Stage, trial: str | None, step: str) -> Iterator[Open]:
        """Book what the process tree takes inside the block, whatever ends it, less what is reported meanwhile."""
        self._look()
        self._open.append(Open(stage, trial, step))
        try:
            yield self._open[-1]
        finally:
            self._look()
            self._add([self._open.pop().entry()])
            self._keep_some()

    def turn_to(self, stage: Stage, step: str) -> None:
        """Book what is not in any block under another name from here on."""
        self._look()
        self._add([self._open[0].entry()])
        self._open[0].stage, self._open[0].step = stage, step

    def book(self, trial: str | None, usages: Sequence[Usage]) -> None:
        """Book what a worker says its steps took, one after the other, under the trial that first needed them."""
        self._report([LedgerEntry(u.stage, trial, u.energy, u.cpu_s, u.duration_s, u.step) for u in usages])  # type: ignore[arg-type]

    def book_beside(self, stage: Stage, step: str, cpu_s: float, overlap_s: float) -> None:
        """Book what a process of ours did while this one went on with other work, which has the wall time."""
        energy = attribute.process_share(self.meter, self._last, self.meter.mark(), cpu_s, 0.0, ())
        self._report([LedgerEntry(stage, None, energy, cpu_s, 0.0, step, overlap_s)])

    def foresee(self, cpu_s: float, duration_s: float, step: str) -> None:
        """Book what is still to come, estimated from the same work done before: nothing to twice of it. The last."""
        self._look()
        until = Mark(duration_s, cpu_s)
        energy = attribute.process_share(cpu_model.detect(), Mark(0.0, 0.0), until).times(1.0, 0.0, 2.0)
        self._add([stage.entry() for stage in self._open])
        self._add([LedgerEntry("report", None, energy, cpu_s, duration_s, step)])
        self._is_closed = True

    def take_pending(self) -> list[LedgerEntry]:
        """Entries not yet made durable, handed over once: all that was used until now is in them."""
        self._look()
        self._add([stage.entry() for stage in self._open])
        self._kept = self._last
        pending, self.pending = self.pending, []
        return pending

    def total(self) -> Energy | None:
        """Energy of the whole study until now, earlier runs included; None where nothing was booked."""
        self._look()
        return total([e.energy for e in self.entries] + [s.energy for s in self._open if s.energy is not None])

    def duration_s(self) -> float:
        """Seconds of this run that are booked."""
        return sum(entry.duration_s for entry in self.entries[self._earlier :])

    def _look(self) -> None:
        """Give the open stage what the tree used since the last look, beyond what was reported for parts of it.

        What was reported beyond what was seen (a worker's clock is finer than the system's ticks) is owed by the next.
        """
        if self._is_closed:
            return
        stage, before, now = self._open[-1], self._last, self.meter.mark()
        parts, stage.reported, self._last = stage.reported, [], now
        took_s = now.time_s - before.time_s
        cpu_s = now.cpu_s - before.cpu_s - sum(part.cpu_s for part in parts) - self._owed_cpu_s
        left_s = took_s - sum(part.duration_s for part in parts) - self._owed_s
        self._owed_cpu_s, self._owed_s = max(0.0, -cpu_s), max(0.0, -left_s)
        stage.add(self._share(before, now, max(0.0, cpu_s), max(0.0, left_s)), max(0.0, cpu_s), max(0.0, left_s))

    def _share(self, before: Mark, now: Mark, cpu_s: float, left_s: float) -> Energy:
        """Energy of `cpu_s`, and of the threads held for `left_s` of the seconds between two marks."""
        held = left_s / max(now.time_s - before.time_s, 1e-9)
        return attribute.process_share(self.meter, before, now, cpu_s, usage.reserved_threads() * min(1.0, held))

    def _report(self, entries: list[LedgerEntry]) -> None:
        self._open[-1].reported += entries
        self._add(list(entries))

    def _keep_some(self) -> None:
        if self.keep is not None and self._last.time_s - self._kept.time_s > _UNKEPT_S:
            self.keep(self.take_pending())

    def _add(self, entries: Sequence[LedgerEntry | None]) -> None:
        there = [entry for entry in entries if entry is not None]
        self.entries += there
        self.pending += there


def _before(start: Start, first: Mark) -> LedgerEntry:
    """What was used before the meter's first look: by the model of this processor, as no counter was read then."""
    used = max(0.0, first.cpu_s - start.cpu_s)
    took = max(0.0, first.time_s - start.time_s)
    energy = attribute.process_share(cpu_model.detect(), Mark(0.0, 0.0), Mark(took, used))
    return LedgerEntry("prepare", None, energy, used, took, "start")
