"""Where candidates are made: a worker process each, shared steps done once and kept."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimwatt import _handoff, recipe
from trimwatt._process import Child, ForkServer
from trimwatt.energy import Energy, total
from trimwatt.errors import TrialFailed, TrialStopped
from trimwatt.runtime._base import Artifact
from trimwatt.study.worker import Handle, Job, Outcome, Usage
from trimwatt.units import seconds
from trimwatt.workload import Data, Workload


@dataclass(frozen=True)
class Made:
    """What making a candidate gave. cost: its steps and their ancestors', whoever did them first."""

    outcome: Outcome
    cost: Energy | None
    shared: tuple[str, ...]

    def whole(self) -> Artifact:
        """The artifact; raises TrialStopped or TrialFailed, with the reason, where it was not made or did not check."""
        if self.outcome.artifact is not None and self.outcome.failure is None:
            return self.outcome.artifact
        kind = TrialStopped if self.outcome.late else TrialFailed
        raise kind(self.outcome.failure or "nothing was exported")


class Workshop:
    """Makes candidates of one workload in `folder`. Objects kept here are only ever read back by this run.

    rows: candidates may also be made from other rows than the workload's, each set of them by a name; "" is its own.
    """

    def __init__(self, workload: Workload, folder: Path, server: ForkServer | None, memory_limit_bytes: float) -> None:
        # the rows lie here as objects: nobody else's business
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder, self.server, self.memory_limit_bytes = folder, server, memory_limit_bytes
        self.seed = workload.seed
        self._workload = workload
        self._bases: dict[str, Handle] = {}
        self.base = self.use("", workload.rows)
        self._kept: dict[str, Handle] = {}
        self._usages: dict[str, Usage] = {}
        self._slow: dict[str, float] = {}
        # what the search took that found a step's parameters
        self.searched: dict[Any, Energy] = {}

    def use(self, rows: str, data: Data) -> Handle:
        """Have candidates made from `data` too, by the name `rows`; written once."""
        if rows not in self._bases:
            path = self.folder / f"base{rows}.bin"
            self._bases[rows] = Handle(path, _handoff.write(replace(self._workload, data=data), path))
        return self._bases[rows]

    def turn_to(self, data: Data) -> None:
        """Make candidates from these rows where no others are named; before the first is made."""
        del self._bases[""]
        self.base = self.use("", data)

    def key(self, steps: Sequence[Any], rows: str = "") -> str:
        """The content address of a prefix of a recipe."""
        return recipe.digest(recipe.to_json(steps), self.seed) + rows

    def place(self, steps: Sequence[Any]) -> Path:
        """Where what these steps give is kept."""
        return self.folder / f"{self.key(steps)}.bin"

    def kept(self, steps: Sequence[Any], rows: str = "") -> Handle | None:
        """What these steps gave, where they were done."""
        return self._kept.get(self.key(steps, rows))

    def usages(self, steps: Sequence[Any], rows: str = "") -> list[Usage]:
        """What each of these steps took, of those that were done."""
        keys = [self.key(steps[: n + 1], rows) for n in range(len(steps))]
        return [self._usages[key] for key in keys if key in self._usages]

    def adopt(self, steps: Sequence[Any], made: Handle, usages: Sequence[Usage]) -> None:
        """Take over what an earlier run gave for these steps, and what each took then."""
        self._kept[self.key(steps)] = made
        for n, usage in enumerate(usages):
            self._usages[self.key(steps[: n + 1])] = usage

    def make(
        self, steps: Sequence[Any], runtime: str, folder: Path, limit_s: float, rows: str = "",
        threshold: float | None = None,
    ) -> Made:  # fmt: skip
        """Run the steps that no earlier candidate did, export, check; never raises for the candidate's sake.

        threshold: one that is known beforehand. From the same rows either all candidates that need one have it or none.
        """
        if limit_s <= 0:
            return self._made(steps, Outcome(failure="no time was left", late=True), rows)
        if late := self._known_slow(steps, limit_s, rows):
            return self._made(steps, late, rows)
        with contextlib.ExitStack() as stack:
            try:
                child = stack.enter_context(self._child())
                job = self._job(steps, runtime, folder, rows)
                return self._made_by(child, steps, replace(job, threshold=threshold), limit_s, rows)
            except TrialFailed as error:
                outcome = Outcome(failure=str(error), late=isinstance(error, TrialStopped))
                self._note_slow(steps, outcome, limit_s, rows)
                return self._made(steps, outcome, rows)

    def in_folds(
        self, steps: Sequence[Any], runtime: str, folder: Path, names: Sequence[str], limit_s: float,
        most_s: float = math.inf,
    ) -> Iterator[Made]:  # fmt: skip
        """The same from the rows of one fold after the other, in one process; each is asked what it was held out.

        names: of the folds' rows. Each export replaces the last. Ends with the first that fails, that takes more than
        `most_s`, or after `limit_s`.
        """
        until, rows = time.monotonic() + limit_s, names[0]
        given_s = min(limit_s, most_s)
        if late := self._known_slow(steps, given_s, rows):
            yield self._made(steps, late, rows)
            return
        try:
            with self._child() as child:
                for rows in names:
                    given_s = min(until - time.monotonic(), most_s)
                    first = rows == names[0]
                    job = replace(self._job(steps, runtime, folder, rows), judged=True, seen=first)
                    made = self._made_by(child, steps, job, given_s, rows)
                    yield made
                    if made.outcome.failure is not None:
                        return
        except TrialFailed as error:
            outcome = Outcome(failure=str(error), late=isinstance(error, TrialStopped))
            self._note_slow(steps, outcome, given_s, rows)
            yield self._made(steps, outcome, rows)

    def _child(self) -> Child:
        return Child(
            "trimwatt.study.worker:serve", (self.seed,), server=self.server, memory_limit_bytes=self.memory_limit_bytes
        )

    def _job(self, steps: Sequence[Any], runtime: str, folder: Path, rows: str) -> Job:
        """What is left to do of these steps."""
        known = self._known(steps, rows)
        todo = [(steps[n], self.key(steps[: n + 1], rows)) for n in range(len(known), len(steps))]
        start = self.kept(known, rows) if known else None
        return Job(self._bases[rows], start, tuple(todo), self.folder, runtime, folder)

    def _made_by(self, child: Child, steps: Sequence[Any], job: Job, limit_s: float, rows: str) -> Made:
        """What the worker made of it; raises TrialFailed where the worker is gone or took too long."""
        known = self._known(steps, rows)
        outcome: Outcome = child.call(job, max(0.0, limit_s))
        for (key, handle), usage in zip(outcome.made, outcome.usages, strict=False):
            self._kept[key], self._usages[key] = handle, usage
        return self._made(steps, outcome, rows, known)

    def _known(self, steps: Sequence[Any], rows: str) -> Sequence[Any]:
        """The longest prefix that an earlier candidate did."""
        return next((prefix for prefix in recipe.prefixes(steps) if prefix and self.kept(prefix, rows)), ())

    def _made(self, steps: Sequence[Any], outcome: Outcome, rows: str, known: Sequence[Any] = ()) -> Made:
        return Made(outcome, self._cost(steps, outcome, rows), tuple(step.name for step in known))

    def _known_slow(self, steps: Sequence[Any], limit_s: float, rows: str) -> Outcome | None:
        """What would come of it, where it begins with a step that did not end in more time than there is now."""
        for prefix in recipe.prefixes(steps):
            took = self._slow.get(self.key(prefix, rows), 0.0) if prefix else 0.0
            if took >= limit_s:
                return Outcome(failure=f"{prefix[-1].name} took more than {seconds(took)} before", late=True)
        return None

    def _note_slow(self, steps: Sequence[Any], outcome: Outcome, limit_s: float, rows: str) -> None:
        known = self._known(steps, rows)
        if outcome.late and len(steps) - len(known) == 1:
            self._slow[self.key(steps, rows)] = limit_s

    def _cost(self, steps: Sequence[Any], outcome: Outcome, rows: str) -> Energy | None:
        chain = [usage.energy for usage in self.usages(steps, rows)]
        # what a search found cost once, however many folds then try it
        chain += [self.searched[step] for step in steps if step in self.searched and not rows]
        own = [usage.energy for usage in outcome.usages[len(outcome.made) :]]
        return total(chain + own)
