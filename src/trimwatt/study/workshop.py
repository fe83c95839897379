"""Where candidates are made: a worker process each, shared steps done once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimwatt import _handoff, recipe
from trimwatt._process import Child, ForkServer
from trimwatt.energy import Energy, total
from trimwatt.errors import TrialFailed, TrialStopped
from trimwatt.runtime._base import Artifact
from trimwatt.study.worker import Handle, Job, Outcome, Usage
from trimwatt.units import seconds
from trimwatt.workload import Workload


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
    """Makes candidates of one workload in `folder`. Objects kept here are only ever read back by this run."""

    def __init__(self, workload: Workload, folder: Path, server: ForkServer | None, memory_limit_bytes: float) -> None:
        # the rows lie here as objects: nobody else's business
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder, self.server, self.memory_limit_bytes = folder, server, memory_limit_bytes
        self.seed = workload.seed
        path = folder / "base.bin"
        self.base = Handle(path, _handoff.write(workload, path))
        self._kept: dict[str, Handle] = {}
        self._usages: dict[str, Usage] = {}
        self._slow: dict[str, float] = {}
        # what the search took that found a step's parameters
        self.searched: dict[Any, Energy] = {}

    def key(self, steps: Sequence[Any]) -> str:
        """The content address of a prefix of a recipe."""
        return recipe.digest(recipe.to_json(steps), self.seed)

    def place(self, steps: Sequence[Any]) -> Path:
        """Where what these steps give is kept."""
        return self.folder / f"{self.key(steps)}.bin"

    def kept(self, steps: Sequence[Any]) -> Handle | None:
        """What these steps gave, where they were done."""
        return self._kept.get(self.key(steps))

    def usages(self, steps: Sequence[Any]) -> list[Usage]:
        """What each of these steps took, of those that were done."""
        keys = [self.key(steps[: n + 1]) for n in range(len(steps))]
        return [self._usages[key] for key in keys if key in self._usages]

    def adopt(self, steps: Sequence[Any], made: Handle, usages: Sequence[Usage]) -> None:
        """Take over what an earlier run gave for these steps, and what each took then."""
        self._kept[self.key(steps)] = made
        for n, usage in enumerate(usages):
            self._usages[self.key(steps[: n + 1])] = usage

    def make(self, steps: Sequence[Any], runtime: str, folder: Path, limit_s: float) -> Made:
        """Run the steps that no earlier candidate did, export, check; never raises for the candidate's sake."""
        known = next((prefix for prefix in recipe.prefixes(steps) if prefix and self.kept(prefix)), ())
        todo = [(steps[n], self.key(steps[: n + 1])) for n in range(len(known), len(steps))]
        start = self._kept[self.key(known)] if known else None
        job = Job(self.base, start, tuple(todo), self.folder, runtime, folder)
        outcome = self._known_slow(steps, limit_s) or self._run(job, limit_s)
        if outcome.late and len(todo) == 1:
            self._slow[todo[0][1]] = limit_s
        for (key, handle), usage in zip(outcome.made, outcome.usages, strict=False):
            self._kept[key], self._usages[key] = handle, usage
        return Made(outcome, self._cost(steps, outcome), tuple(step.name for step in known))

    def _known_slow(self, steps: Sequence[Any], limit_s: float) -> Outcome | None:
        """What would come of it, where it begins with a step that did not end in more time than there is now."""
        if limit_s <= 0:
            return Outcome(failure="no time was left", late=True)
        for prefix in recipe.prefixes(steps):
            took = self._slow.get(self.key(prefix), 0.0) if prefix else 0.0
            if took >= limit_s:
                return Outcome(failure=f"{prefix[-1].name} took more than {seconds(took)} before", late=True)
        return None

    def _run(self, job: Job, limit_s: float) -> Outcome:
        try:
            child = Child(
                "trimwatt.study.worker:serve", (self.seed,),
                server=self.server, memory_limit_bytes=self.memory_limit_bytes,
            )  # fmt: skip
            with child:
                outcome: Outcome = child.call(job, limit_s)
            return outcome
        except TrialFailed as error:
            return Outcome(failure=str(error), late=isinstance(error, TrialStopped))

    def _cost(self, steps: Sequence[Any], outcome: Outcome) -> Energy | None:
        chain = [usage.energy for usage in self.usages(steps)]
        chain += [self.searched[step] for step in steps if step in self.searched]
        own = [usage.energy for usage in outcome.usages[len(outcome.made) :]]
        return total(chain + own)
