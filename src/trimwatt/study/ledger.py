"""The cost of the search: every joule, by stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from trimwatt.energy import Energy, total
from trimwatt.meter import attribute, usage
from trimwatt.meter._base import Mark, Meter
from trimwatt.study.worker import Usage
from trimwatt.trial import LedgerEntry


class Ledger:
    """Entries in the order they were booked; `take_pending` hands those over that are not durable yet."""

    def __init__(self, meter: Meter, entries: Sequence[LedgerEntry] = ()) -> None:
        self.meter = meter
        self.entries = list(entries)
        self.pending: list[LedgerEntry] = []

    def book(self, trial: str | None, usages: Sequence[Usage]) -> None:
        """Book what a worker did, under the trial that first needed it."""
        self._add([LedgerEntry(u.stage, trial, u.energy, u.cpu_s, u.duration_s, u.step) for u in usages])  # type: ignore[arg-type]

    @contextmanager
    def booking(self, stage: Any, trial: str | None, step: str) -> Iterator[None]:
        """Book what this process and those it serves from take inside the block, whatever ends it."""
        before = self.meter.mark()
        try:
            yield
        finally:
            self.since(before, stage, step, trial)

    def since(self, before: Mark, stage: Any, step: str, trial: str | None = None) -> None:
        """Book what this process and those it serves from took since `before`."""
        after = self.meter.mark()
        energy = attribute.process_share(self.meter, before, after)
        cpu_s = max(0.0, after.cpu_s - before.cpu_s)
        self._add([LedgerEntry(stage, trial, energy, cpu_s, after.time_s - before.time_s, step)])

    def rest(self, before: Mark, usages: Sequence[Usage], trial: str) -> None:
        """Book what was taken since `before` beyond `usages`: starting a worker, and work that was never finished."""
        after = self.meter.mark()
        cpu_s = max(0.0, after.cpu_s - before.cpu_s - sum(u.cpu_s for u in usages))
        whole_s = max(after.time_s - before.time_s, 1e-9)
        left_s = max(0.0, whole_s - sum(u.duration_s for u in usages))
        threads = usage.reserved_threads() * left_s / whole_s
        energy = attribute.process_share(self.meter, before, after, cpu_s, threads)
        self._add([LedgerEntry("prepare", trial, energy, cpu_s, left_s, "worker process")])

    def take_pending(self) -> list[LedgerEntry]:
        """Entries not yet made durable, handed over once."""
        pending, self.pending = self.pending, []
        return pending

    @property
    def total(self) -> Energy | None:
        """The whole study's energy so far; None before anything was booked."""
        return total([entry.energy for entry in self.entries])

    def _add(self, entries: list[LedgerEntry]) -> None:
        self.entries += entries
        self.pending += entries
