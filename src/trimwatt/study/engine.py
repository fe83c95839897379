"""Trials: the baseline, then candidates within the budget. What is found goes to the store at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trimwatt import recipe as recipes
from trimwatt.compare.arms import SessionArm
from trimwatt.compare.result import Comparison
from trimwatt.energy import Energy
from trimwatt.errors import TrialFailed, TrialStopped
from trimwatt.runtime._base import Artifact
from trimwatt.store._base import Store
from trimwatt.study import costing, patience, recommend, records, searching
from trimwatt.study.bench import Bench, Judged
from trimwatt.study.candidate import Candidate
from trimwatt.study.crossing import Crossed, cross_fit
from trimwatt.study.judging import Judging
from trimwatt.study.ledger import Ledger
from trimwatt.study.options import Options
from trimwatt.study.reference import EXPORT
from trimwatt.study.space import Space
from trimwatt.study.worker import Outcome, seen
from trimwatt.study.workshop import Made, Workshop
from trimwatt.trial import Trial
from trimwatt.workload import Array, Workload

Event = Callable[..., None]
# what one step may take of where trials are counted, and not time
_HOUR_S = 3600.0
# a fit on more rows takes longer than the one before, and a process of its own has to start
_LONGER, _START_S = 1.5, 0.5


@dataclass
class Found:
    """What a study has come to.

    reference: whose quality the floor is relative to. folds: whether trials were judged out of fold. refitted: whether
    the model handed over was fitted again after confirmation. confirmed: None until the test rows were asked, and where
    they are not independent. independent: False where the grade of the recommended one rests on rows that are tied to
    training rows. safest: where the recommended one is not proven to meet the floor, the cheapest that is. boldest:
    where it is, the cheapest that meets the floor by its estimate alone. by_estimate: where nothing is recommended, as
    strict wants proof, the cheapest that meets it by its estimate. as_data: where the recommended one needs trust to be
    opened, the cheapest that does not.
    """

    baseline: Trial
    reference: Trial
    floor: float
    recommended: Trial | None = None
    safest: Trial | None = None
    boldest: Trial | None = None
    by_estimate: Trial | None = None
    as_data: Trial | None = None
    confirmed: bool | None = None
    refitted: bool = False
    folds: bool = False
    independent: bool = True
    finals: dict[str, Any] | None = None
    tied: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Engine:
    """Runs the trials of one study within its budget."""

    def __init__(
        self, workload: Workload, options: Options, folder: Path, workshop: Workshop, bench: Bench,
        judging: Judging, ledger: Ledger, store: Store, event: Event,
    ) -> None:  # fmt: skip
        self.workload, self.options, self.folder = workload, options, folder
        self.workshop, self.bench, self.judging = workshop, bench, judging
        self.ledger, self.store, self.event = ledger, store, event
        kept = records.trials(store)
        self.trials: list[Trial] = [trial for trial in kept if trial.status != "stopped"]
        self._count, self._waiting = len(kept), 0
        self.artifacts: dict[str, Artifact] = {}
        self.candidates: dict[str, Candidate] = {}
        self.pace_s = 3.0
        # trials whose artifact is of a model that was fitted on more rows than it was judged by
        self.fitted_again: set[str] = set()
        self.baseline_id = ""

    # budget

    def left_s(self) -> float:
        """Seconds of work that the budget still pays for, the end of the study kept in reserve."""
        if self.options.allowance.kind == "trials" and len(self.trials) >= self.options.allowance.amount:
            return 0.0
        return self.unspent_s() - self._reserve_s()

    def unspent_s(self) -> float:
        """Seconds that the budget still pays for, all in all."""
        if self.options.allowance.kind == "trials":
            return _HOUR_S
        if self.options.allowance.kind == "s":
            return self.options.allowance.amount - (time.monotonic() - self.ledger.start.time_s)
        spent = self.ledger.total()
        return (self.options.allowance.amount - (spent.joules if spent else 0.0)) / self._power_w(spent)

    def _reserve_s(self) -> float:
        """What finals, confirmation and report will need, by the pace at which candidates were measured here."""
        whole = self.options.allowance.amount if self.options.allowance.kind == "s" else math.inf
        return min(0.4 * whole, 3.0 + 4 * self.pace_s + self._fitting_again_s())

    def _fitting_again_s(self) -> float:
        """What fitting baseline, reference and the cheapest that meets the floor again, and opening them, will take."""
        if self.judging.validation.is_crossed or self.workload.form != "none":
            return 0.0
        best = recommend.acceptable(self.trials, self.options)[:1]
        again = {self.baseline_id, self.judging.reference, *(trial.id for trial in best)}
        return sum(self.fitting_s(name) + self.pace_s for name in again)

    def fitting_s(self, trial_id: str) -> float:
        """How long fitting a trial again on somewhat more rows will take, by how long it took."""
        candidate = self.candidates.get(trial_id)
        steps = self.workshop.usages(candidate.recipe) if candidate else []
        return _START_S + _LONGER * sum(usage.duration_s for usage in steps)

    def _power_w(self, spent: Energy | None) -> float:
        """Watts so far, to turn joules left into seconds; before anything was spent, a core's worth."""
        seconds = sum(entry.duration_s for entry in self.ledger.entries)
        return spent.joules / seconds if spent and seconds > 1 else 10.0

    # candidates

    def search(self, space: Space, found: Found) -> None:
        """Try candidates until none is left or the budget is spent; the change of runtime alone is always tried."""
        queue = searching.with_findings(self, space, space.first())
        while queue:
            candidate = space.adapted(queue.pop(0))
            spent = self.left_s() < 1.0 and candidate.served != (space.baseline.recipe, "onnxruntime")
            # what an earlier run tried is part of the study, whatever is left of the budget
            if spent and self.stored(candidate) is None:
                found.untried.append(candidate.name)
                continue
            candidate = costing.costed(self, candidate, space.core)
            self._waiting = len(queue) + len(space.searches.left)
            trial = self.stored(candidate) or self.attempt(candidate, found)
            self.candidates[trial.id] = candidate
            self.event("trial", trial=trial.to_dict(), n=len(self.trials), left=len(queue))
            self._challenge(trial, found)
            more = space.after(trial, candidate)
            queue = [c for c in more if not c.late] + queue + [c for c in more if c.late]
            queue = searching.with_findings(self, space, queue)
        if found.untried:
            self.event("warning", text=f"the budget is spent; not tried: {len(found.untried)}")
        self.grade(found)

    def _challenge(self, trial: Trial, found: Found) -> None:
        """The strongest trial yet sets the floor; who meets it is told by the estimates until all are graded again."""
        if not self.judging.is_stronger(trial):
            return
        self.judging.reference, found.reference, found.floor = trial.id, trial, 0.0
        found.floor = self.judging.floor()
        self.trials = self.judging.estimated(self.trials)
        self.store.set("reference", trial.id)
        self.event("reference", name=trial.name, floor=found.floor)

    def grade(self, found: Found) -> None:
        """Test every trial against the floor that the reference sets now, where that is another than the baseline."""
        # a resumed study may hold grades against a reference that is none any more
        held_to = {self.judging.reference, self.store.get("reference")} - {None}
        if held_to != {self.baseline_id}:
            with self.ledger.booking("evaluate", None, "floor tests again"):
                self.trials = [self.judging.graded(trial) for trial in self.trials]
            self.store.set("reference", self.judging.reference)
        found.baseline, found.reference = (self.by_id(t.id) for t in (found.baseline, found.reference))

    def with_making(self, trial: Trial, made: Made, crossed: Crossed | None) -> Trial:
        """The trial with what making it took and gave."""
        rows = seen(self.judging.validation.whole, self.workload.seed)
        train = crossed.train_quality if crossed else self.judging.seen(rows, made.outcome.train)
        return replace(
            trial, cost=crossed.cost(made.cost) if crossed else made.cost, parameters=made.outcome.parameters,
            macs=made.outcome.macs, train_quality=train,
        )  # fmt: skip

    def answers_of(self, trial: Trial) -> Array:
        """Its answers; raises TrialFailed where they were not kept."""
        answers = self.judging.answered(trial.id)
        if answers is None:
            raise TrialFailed("its answers to the rows that it is judged on were not kept")
        return answers

    def attempt(self, candidate: Candidate, found: Found) -> Trial:
        """Make one candidate, judge it, measure it, keep it; whatever goes wrong is the trial's reason."""
        self.event("stage", text=candidate.name)
        trial, until = self.new(candidate), time.monotonic() + self._patience_s(candidate)
        trial = replace(trial, family=candidate.family(self.candidates[found.baseline.id]))
        with self.ledger.booking("prepare", trial.id, "worker process") as rest:
            crossed = None
            if self.judging.validation.is_crossed:
                crossed = cross_fit(self, trial, candidate, until - time.monotonic())
            made = self._made(trial, candidate, crossed, until)
            if made.outcome.artifact is None:
                rest.step = "worker process, with what it did not finish"
        trial = self.with_making(trial, made, crossed)
        trial = replace(trial, notes=[f"shares {name} with an earlier trial" for name in made.shared])
        try:
            self.artifacts[trial.id] = made.whole()
            if crossed is not None:
                self.judging.keep(trial.id, crossed.val)
            trial = self._measured(trial, self.artifacts[trial.id], found)
        except TrialStopped as error:
            trial = replace(trial, status="stopped", reason=str(error))
        except TrialFailed as error:
            trial = replace(trial, status="failed", reason=str(error))
        trial = replace(trial, finished=now())
        self.keep(trial)
        return trial

    def _made(self, trial: Trial, candidate: Candidate, crossed: Crossed | None, until: float) -> Made:
        """The model that is measured; where no fold came to anything, why."""
        if crossed is not None and crossed.error is not None:
            late = isinstance(crossed.error, TrialStopped)
            return Made(Outcome(failure=str(crossed.error), late=late), None, ())
        made = self.make(trial, candidate, crossed, until - time.monotonic())
        self.ledger.book(trial.id, made.outcome.usages)
        return made

    def make(self, trial: Trial, candidate: Candidate, crossed: Crossed | None, limit_s: float) -> Made:
        """The model that is measured, with the threshold that the folds gave; its threshold is kept."""
        given = crossed.threshold if crossed else self.threshold(trial) if self.judging.validation.is_crossed else None
        place = self.place(trial.id)
        made = self.workshop.make(candidate.recipe, candidate.runtime, place, limit_s, threshold=given)
        if made.outcome.threshold is not None:
            self.store.set(_threshold_of(trial.id), made.outcome.threshold if given is None else given)
        return made

    def threshold(self, trial: Trial) -> float | None:
        """What was chosen for it on rows that it was not fitted on."""
        found = self.store.get(_threshold_of(trial.id))
        return found if isinstance(found, float) else None

    def _patience_s(self, candidate: Candidate) -> float:
        """Its share of the time left, and what those that wait have no use for."""
        left = self.left_s()
        if left < 10.0 and candidate.recipe == self.candidates[self.baseline_id].recipe:
            return max(1.0, 0.5 * self.unspent_s())
        each_s = patience.longest_s(self.trials)
        return patience.allowed_s(left, candidate.patience, self._waiting, each_s, self.pace_s)

    def _measured(self, trial: Trial, artifact: Artifact, found: Found) -> Trial:
        started = time.monotonic()
        self.bench.call_s = self.left_s()
        with self.ledger.booking("evaluate", trial.id, "opening"):
            arm = self.bench.open(artifact, trial.name)
        with arm:
            with self.ledger.booking("evaluate", trial.id, "validation rows"):
                self._check_given(trial, arm)
                if not self.judging.validation.is_crossed:
                    self.judging.keep(trial.id, self.bench.predictions(arm, self.judging.validation.judged))
                judged = self.judging.judge(self.answers_of(trial))
            with self.ledger.booking("measure", trial.id, "latency, pairs against the baseline"):
                trial = self.described(trial, judged, arm, artifact)
                comparison = self.bench.screen(arm, max(2.0, 0.2 * self.left_s()))
        self.pace_s = time.monotonic() - started
        return compared(trial, found.baseline, comparison)

    def _check_given(self, trial: Trial, arm: SessionArm) -> None:
        """Hold the model as given in another runtime to the labels of the model itself; raises TrialFailed.

        A runtime of fewer bits answers differently by design, which the quality floor judges.
        """
        as_given = trial.recipe == recipes.to_json(self.candidates[self.baseline_id].recipe)
        if self.bench.reference is not None and as_given and (arm.error_bound() or EXPORT) <= EXPORT:
            self.bench.reference.check_export(arm, EXPORT)

    def described(self, trial: Trial, judged: Judged, arm: SessionArm, artifact: Artifact) -> Trial:
        return replace(
            trial, quality=judged.quality, meets_floor=judged.meets, floor_test=judged.floor_test,
            floor_margin=judged.margin, withheld=judged.withheld, **self.figures(arm, artifact),
        )  # fmt: skip

    def figures(self, arm: SessionArm, artifact: Artifact) -> dict[str, Any]:
        """What a trial says of its opened artifact, but for quality and cost."""
        return {
            "latency_s": self.bench.latency(arm), "size_bytes": artifact.size_bytes,
            "peak_rss_bytes": arm.peak_rss_bytes(),
        }  # fmt: skip

    # keeping

    def artifact(self, trial: Trial) -> Artifact:
        """Its artifact, from this run or from its folder."""
        if trial.id not in self.artifacts:
            folder = self.place(trial.id)
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

    def place(self, trial_id: str) -> Path:
        """The folder of a trial."""
        return self.folder / "trials" / trial_id

    def _key(self, candidate: Candidate) -> str:
        return recipes.digest(
            recipes.to_json(candidate.recipe), candidate.runtime, self.workload.scenario.to_dict(), self.workload.seed
        )

    def stored(self, candidate: Candidate) -> Trial | None:
        key = self._key(candidate)
        return next((trial for trial in self.trials if trial.key == key), None)

    def new(self, candidate: Candidate) -> Trial:
        key = self._key(candidate)
        known = next((trial.id for trial in self.trials if trial.key == key), None)
        if known is None:
            self._count += 1
        return Trial(
            known or f"t{self._count - 1:02d}", candidate.name, candidate.family(candidate),
            recipes.to_json(candidate.recipe), candidate.runtime, key, started=now(),
        )  # fmt: skip

    def by_id(self, trial_id: str) -> Trial:
        return next(trial for trial in self.trials if trial.id == trial_id)

    def keep(self, trial: Trial) -> None:
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


def _threshold_of(trial_id: str) -> str:
    """The name by which it is kept."""
    return f"threshold:{trial_id}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
