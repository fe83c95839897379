"""Trials: the baseline, then candidates within the budget. What is found goes to the store at once."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt import recipe as recipes
from trimwatt.compare.arms import SessionArm
from trimwatt.compare.result import Comparison
from trimwatt.energy import Energy
from trimwatt.errors import InputError, TrialFailed, TrialStopped
from trimwatt.runtime._base import Artifact
from trimwatt.store._base import Store
from trimwatt.study import costing, patience, records, searching, weights
from trimwatt.study.bench import Bench, Judged
from trimwatt.study.candidate import Candidate
from trimwatt.study.ledger import Ledger
from trimwatt.study.options import Options
from trimwatt.study.reference import EXPORT
from trimwatt.study.space import Space
from trimwatt.study.worker import Usage
from trimwatt.study.workshop import Workshop
from trimwatt.trial import Ratio, Trial
from trimwatt.workload import Array, Workload

Event = Callable[..., None]
ANSWERS = "validation.npy"


@dataclass
class Found:
    """What a study has come to.

    confirmed: None until the test rows were asked, and where they are not independent. independent: False where the
    grade of the recommended one rests on rows that are tied to training rows. safest: where the recommended one is not
    proven to meet the floor, the cheapest that is. boldest: where it is, the cheapest that meets the floor by its
    estimate alone. by_estimate: where nothing is recommended, as strict wants proof, the cheapest that meets it by its
    estimate. as_data: where the recommended one needs trust to be opened, the cheapest that does not.
    """

    baseline: Trial
    floor: float
    recommended: Trial | None = None
    safest: Trial | None = None
    boldest: Trial | None = None
    by_estimate: Trial | None = None
    as_data: Trial | None = None
    confirmed: bool | None = None
    independent: bool = True
    finals: dict[str, Any] | None = None
    tied: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Engine:
    """Runs the trials of one study within its budget."""

    def __init__(
        self, workload: Workload, options: Options, folder: Path, workshop: Workshop, bench: Bench,
        ledger: Ledger, store: Store, event: Event,
    ) -> None:  # fmt: skip
        self.workload, self.options, self.folder = workload, options, folder
        self.workshop, self.bench, self.ledger, self.store, self.event = workshop, bench, ledger, store, event
        kept = records.trials(store)
        self.trials: list[Trial] = [trial for trial in kept if trial.status != "stopped"]
        self._count, self._waiting = len(kept), 0
        self.artifacts: dict[str, Artifact] = {}
        self.candidates: dict[str, Candidate] = {}
        self.pace_s = 3.0
        self._val: Array = np.empty(0)
        self.answers: dict[str, Array] = {}
        self._baseline_id = ""

    # budget

    def left_s(self) -> float:
        """Seconds of work that the budget still pays for, the end of the study kept in reserve."""
        return self.unspent_s() - self._reserve_s()

    def unspent_s(self) -> float:
        """Seconds that the budget still pays for, all in all."""
        if self.options.budget.kind == "s":
            return self.options.budget.amount - (time.monotonic() - self.ledger.start.time_s)
        spent = self.ledger.total()
        return (self.options.budget.amount - (spent.joules if spent else 0.0)) / self._power_w(spent)

    def _reserve_s(self) -> float:
        """What finals, confirmation and report will need, by the pace at which candidates were measured here."""
        whole = self.options.budget.amount if self.options.budget.kind == "s" else math.inf
        return min(0.4 * whole, 3.0 + 4 * self.pace_s)

    def _power_w(self, spent: Energy | None) -> float:
        """Watts so far, to turn joules left into seconds; before anything was spent, a core's worth."""
        seconds = sum(entry.duration_s for entry in self.ledger.entries)
        return spent.joules / seconds if spent and seconds > 1 else 10.0

    # baseline

    def run_baseline(self, candidate: Candidate) -> Found:
        """Make and open the baseline; raises InputError where it cannot be made or the budget does not cover it."""
        self.event("stage", text=f"baseline: {candidate.name}")
        stored, trial, limit_s = self._stored(candidate), self._new(candidate), 0.8 * self.unspent_s()
        self._baseline_id, self.candidates[trial.id] = trial.id, candidate
        try:
            trial = self._baseline_made(trial, candidate, stored, limit_s)
            return self._baseline_measured(trial, stored)
        except TrialStopped as error:
            raise InputError(patience.too_little(self.options.budget)) from error
        except TrialFailed as error:
            raise InputError(f"the baseline cannot be made: {error}") from error

    def _baseline_made(self, trial: Trial, candidate: Candidate, stored: Trial | None, limit_s: float) -> Trial:
        """The artifact of an earlier run serves again where files suffice to open it."""
        if stored is not None and candidate.runtime != "torch" and self.openable() >= {trial.id}:
            return trial
        place = self._place(trial.id)
        known = stored is not None and weights.restore(self, candidate, place)
        with self.ledger.booking("prepare", trial.id, "worker process"):
            made = self.workshop.make(candidate.recipe, candidate.runtime, place, limit_s)
            self.ledger.book(trial.id, made.outcome.usages if stored is None else _again(made.outcome.usages))
        self.artifacts[trial.id] = made.whole()
        if not known:
            weights.keep(self, candidate, place)
        return replace(trial, cost=made.cost, parameters=made.outcome.parameters, macs=made.outcome.macs)

    def _baseline_measured(self, trial: Trial, stored: Trial | None) -> Found:
        artifact, rows = self.artifact(trial), self.workload.rows.val
        self.bench.call_s = 0.8 * self.unspent_s()
        with self.ledger.booking("evaluate", trial.id, "baseline"):
            arm = self.bench.baseline = self.bench.open(artifact, "baseline")
            if self.bench.reference is not None:
                self.bench.reference.check_baseline(arm)
            self._val = self._answers(trial, arm)
            judged = self.bench.judge(rows, self._val, self._val, self._free)
        with self.ledger.booking("measure", trial.id, "self-test"):
            test, side = self.bench.check_host(artifact, 0.1 * self.unspent_s()), self.bench.alone(arm)
            trial = self._described(trial, judged, arm, artifact)
        if stored is not None:
            return Found(stored, judged.floor)
        trial = replace(
            trial, ratio_to_baseline=_itself(test.pairs, side.basis),
            energy_per_prediction=side.energy, cpu_s_per_prediction=side.cpu_s, finished=_now(),
        )  # fmt: skip
        self._keep(trial)
        return Found(trial, judged.floor)

    # candidates

    def search(self, space: Space, found: Found) -> None:
        """Try candidates until none is left or the budget is spent; the change of runtime alone is always tried."""
        queue = searching.with_findings(self, space, space.first())
        while queue:
            if self.left_s() < 1.0 and queue[0].served != (space.baseline.recipe, "onnxruntime"):
                found.untried = [candidate.name for candidate in queue]
                self.event("warning", text=f"the budget is spent; not tried: {len(queue)}")
                return
            candidate = costing.costed(self, space.adapted(queue.pop(0)), space.core)
            self._waiting = len(queue) + len(space.searches.left)
            trial = self._stored(candidate) or self.attempt(candidate, found)
            self.candidates[trial.id] = candidate
            self.event("trial", trial=trial.to_dict(), n=len(self.trials), left=len(queue))
            more = space.after(trial, candidate)
            queue = [c for c in more if not c.late] + queue + [c for c in more if c.late]
            queue = searching.with_findings(self, space, queue)

    def attempt(self, candidate: Candidate, found: Found) -> Trial:
        """Make one candidate, judge it, measure it, keep it; whatever goes wrong is the trial's reason."""
        self.event("stage", text=candidate.name)
        trial, limit_s = self._new(candidate), self._patience_s(candidate)
        with self.ledger.booking("prepare", trial.id, "worker process") as rest:
            made = self.workshop.make(candidate.recipe, candidate.runtime, self._place(trial.id), limit_s)
            self.ledger.book(trial.id, made.outcome.usages)
            if made.outcome.artifact is None:
                rest.step = "worker process, with what it did not finish"
        trial = replace(
            trial, family=candidate.family(self.candidates[found.baseline.id]), cost=made.cost,
            parameters=made.outcome.parameters, macs=made.outcome.macs,
            notes=[f"shares {name} with an earlier trial" for name in made.shared],
        )  # fmt: skip
        try:
            self.artifacts[trial.id] = made.whole()
            trial = self._measured(trial, self.artifacts[trial.id], found)
        except TrialStopped as error:
            trial = replace(trial, status="stopped", reason=str(error))
        except TrialFailed as error:
            trial = replace(trial, status="failed", reason=str(error))
        trial = replace(trial, finished=_now())
        self._keep(trial)
        return trial

    def _patience_s(self, candidate: Candidate) -> float:
        """Its share of the time left, and what those that wait have no use for."""
        left = self.left_s()
        if left < 10.0 and candidate.recipe == self.candidates[self._baseline_id].recipe:
            return max(1.0, 0.5 * self.unspent_s())
        each_s = patience.longest_s(self.trials)
        return patience.allowed_s(left, candidate.patience, self._waiting, each_s, self.pace_s)

    def _measured(self, trial: Trial, artifact: Artifact, found: Found) -> Trial:
        rows, started = self.workload.rows.val, time.monotonic()
        self.bench.call_s = self.left_s()
        with self.ledger.booking("evaluate", trial.id, "opening"):
            arm = self.bench.open(artifact, trial.name)
        with arm:
            with self.ledger.booking("evaluate", trial.id, "validation rows"):
                self._check_given(trial, arm)
                judged = self.bench.judge(rows, self._answers(trial, arm), self._val, self._free)
            with self.ledger.booking("measure", trial.id, "latency, pairs against the baseline"):
                trial = self._described(trial, judged, arm, artifact)
                comparison = self.bench.screen(arm, max(2.0, 0.2 * self.left_s()))
        self.pace_s = time.monotonic() - started
        return compared(trial, found.baseline, comparison)

    def _check_given(self, trial: Trial, arm: SessionArm) -> None:
        """Hold the model as given in another runtime to the labels of the model itself; raises TrialFailed.

        A runtime of fewer bits answers differently by design, which the quality floor judges.
        """
        as_given = trial.recipe == recipes.to_json(self.candidates[self._baseline_id].recipe)
        if self.bench.reference is not None and as_given and (arm.error_bound() or EXPORT) <= EXPORT:
            self.bench.reference.check_export(arm, EXPORT)

    def _described(self, trial: Trial, judged: Judged, arm: SessionArm, artifact: Artifact) -> Trial:
        return replace(
            trial, quality=judged.quality, meets_floor=judged.meets, floor_test=judged.floor_test,
            floor_margin=judged.margin, withheld=judged.withheld,
            latency_s=self.bench.latency(arm), size_bytes=artifact.size_bytes, peak_rss_bytes=arm.peak_rss_bytes(),
        )  # fmt: skip

    @property
    def _free(self) -> Array | None:
        """Validation rows that nothing ties to training rows."""
        return self.workload.rows.independence.val

    def _answers(self, trial: Trial, arm: SessionArm) -> Array:
        """What it answers on the validation rows, kept for comparing all candidates on the same rows."""
        self.answers[trial.id] = self.bench.predictions(arm, self.workload.rows.val)
        np.save(self._place(trial.id) / ANSWERS, self.answers[trial.id], allow_pickle=False)
        return self.answers[trial.id]

    def answered(self, trial: Trial) -> Array | None:
        """Its answers on the validation rows, from this run or an earlier one; None where they are not there."""
        path = self._place(trial.id) / ANSWERS
        if trial.id not in self.answers and path.is_file():
            with contextlib.suppress(OSError, ValueError, EOFError):
                found = np.load(path, allow_pickle=False)
                if found.ndim and len(found) == len(self.workload.rows.val):
                    self.answers[trial.id] = found
        return self.answers.get(trial.id)

    # keeping

    def artifact(self, trial: Trial) -> Artifact:
        """Its artifact, from this run or from its folder."""
        if trial.id not in self.artifacts:
            folder = self._place(trial.id)
            files, read = records.files(self.store, trial) or {}, self.store.get(f"columns:{trial.id}")
            tensors = self.store.get(f"tensors:{trial.id}")
            columns = None if read is None else tuple(read)
            answers = self.store.get(f"classes:{trial.id}") or self.workload.rows.classes
            classes = None if answers is None else tuple(answers)
            self.artifacts[trial.id] = Artifact(
                folder, trial.runtime, tuple(files), columns=columns, classes=classes, digests=files,
                tensors=tensors,
            )  # fmt: skip
        return self.artifacts[trial.id]

    def openable(self) -> set[str]:
        """The trials whose artifacts are there and may be opened."""
        return {t.id for t in self.trials if t.id in self.artifacts or records.files(self.store, t)}

    def _place(self, trial_id: str) -> Path:
        return self.folder / "trials" / trial_id

    def _key(self, candidate: Candidate) -> str:
        return recipes.digest(
            recipes.to_json(candidate.recipe), candidate.runtime, self.workload.scenario.to_dict(), self.workload.seed
        )

    def _stored(self, candidate: Candidate) -> Trial | None:
        key = self._key(candidate)
        return next((trial for trial in self.trials if trial.key == key), None)

    def _new(self, candidate: Candidate) -> Trial:
        key = self._key(candidate)
        known = next((trial.id for trial in self.trials if trial.key == key), None)
        if known is None:
            self._count += 1
        return Trial(
            known or f"t{self._count - 1:02d}", candidate.name, candidate.family(candidate),
            recipes.to_json(candidate.recipe), candidate.runtime, key, started=_now(),
        )  # fmt: skip

    def by_id(self, trial_id: str) -> Trial:
        return next(trial for trial in self.trials if trial.id == trial_id)

    def _keep(self, trial: Trial) -> None:
        """Durable at once, with what it took."""
        if trial.id in self.artifacts:
            artifact = self.artifacts[trial.id]
            records.keep(self.store, trial, artifact)
            self.store.set(f"columns:{trial.id}", artifact.columns and list(artifact.columns))
            self.store.set(f"tensors:{trial.id}", artifact.tensors)
            self.store.set(f"classes:{trial.id}", artifact.classes and list(artifact.classes))
        # one that was stopped may be tried again, so it must not hold the key
        key = f"{trial.key} stopped {trial.started}" if trial.status == "stopped" else trial.key
        self.store.add_trial({**trial.to_dict(), "key": key}, [entry.to_dict() for entry in self.ledger.take_pending()])
        self.trials = [t for t in self.trials if t.id != trial.id] + [trial]

    def amend(self, trial: Trial) -> Trial:
        self.trials = [trial if t.id == trial.id else t for t in self.trials]
        return trial

    def keep_pending(self) -> None:
        self.store.add_entries([entry.to_dict() for entry in self.ledger.take_pending()])


def _itself(pairs: int, basis: str) -> Ratio:
    """The baseline over itself."""
    return Ratio(1.0, 1.0, 1.0, pairs, "tied", basis, {"value": 1.0, "low": 1.0, "high": 1.0})


def compared(trial: Trial, baseline: Trial, comparison: Comparison) -> Trial:
    """The ratio from pairs, and the figures a prediction as the baseline's times it.

    Not the arm's own: seconds drift with the host's load by half from one comparison to the next, ratios do not.
    """
    ratio, energy, cpu_s = comparison.to_ratio(), baseline.energy_per_prediction, baseline.cpu_s_per_prediction
    bounds = (ratio.value, ratio.low, ratio.high)
    return replace(
        trial, ratio_to_baseline=ratio, cpu_s_per_prediction=cpu_s * ratio.value if cpu_s is not None else None,
        energy_per_prediction=energy.times(*bounds) if energy else None,
    )  # fmt: skip


def _again(usages: list[Usage]) -> list[Usage]:
    """A baseline made once more after a restart is real work, booked as preparation."""
    return [replace(usage, stage="prepare", step=f"{usage.step} (after a restart)") for usage in usages]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
