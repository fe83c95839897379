"""What candidates answered to the rows they are judged on, and how each stands to the floor that the reference sets."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from trimwatt.compare import quality
from trimwatt.study.bench import Bench, Judged
from trimwatt.study.validation import Validation
from trimwatt.trial import Quality, Trial
from trimwatt.workload import Array, Split

ANSWERS = "validation.npy"
# of the spread of answers: what an export in float32 may differ by
_ROUNDING = 1e-3


class Judging:
    """Holds the answers of every trial, and the reference: the trial whose quality the floor is relative to.

    folder: of the trials. chooses: whether the strongest trial becomes the reference, or the baseline stays it.
    """

    def __init__(self, bench: Bench, validation: Validation, folder: Path, chooses: bool) -> None:
        self.bench, self.validation, self.folder, self.chooses = bench, validation, folder, chooses
        self.reference = ""
        self._answers: dict[str, Array] = {}

    def keep(self, trial_id: str, answers: Array) -> None:
        """Answers to all rows, or to those of the first folds; durable, for a study that is resumed."""
        self._answers[trial_id] = answers
        np.save(self.folder / trial_id / ANSWERS, answers, allow_pickle=False)

    def answered(self, trial_id: str) -> Array | None:
        """Its answers, from this run or an earlier one; None where they are not there."""
        path = self.folder / trial_id / ANSWERS
        if trial_id not in self._answers and path.is_file():
            with contextlib.suppress(OSError, ValueError, EOFError):
                found = np.load(path, allow_pickle=False)
                most = len(self.validation.judged)
                if found.ndim and (len(found) == most or (self.validation.is_crossed and 0 < len(found) < most)):
                    self._answers[trial_id] = found
        return self._answers.get(trial_id)

    def judge(self, answers: Array) -> Judged:
        """Quality by these answers, and their stand to the floor that the reference sets on the same rows."""
        beside = self.answered(self.reference)
        reference, validation, n = answers if beside is None else beside, self.validation, len(answers)
        # the reference itself is told from one that answers the same by being the same object
        held_to = reference if n == len(reference) else reference[:n]
        return self.bench.judge(validation.rows(n), answers, held_to, validation.free, validation.folds(n))

    def is_lost(self, answers: Array) -> bool:
        """Whether answers to the rows of some folds already show that the floor is missed."""
        return self.answered(self.reference) is not None and self.judge(answers).floor_test == "failed"

    def floor(self) -> float:
        """The floor on all rows."""
        answers = self.answered(self.reference)
        assert answers is not None  # noqa: S101 - the reference has answered all rows
        return self.bench.least(self.validation.rows(len(answers)), answers, self.validation.folds(len(answers)))

    def is_stronger(self, trial: Trial) -> bool:
        """Whether the paired test shows its quality to be better than the reference's, on all independent rows.

        Rows that are tied to training rows would have a model that knows them by heart set the floor.
        """
        mine, theirs = self.answered(trial.id), self.answered(self.reference)
        if not self.chooses or trial.id == self.reference or trial.status != "done" or mine is None or theirs is None:
            return False
        workload, truth, free = self.bench.workload, self.validation.judged.y, self.validation.free
        if not len(mine) == len(theirs) == len(truth) or workload.rows.independence.withheld:
            return False
        folds = self.validation.folds(len(mine))
        if free is not None:
            truth, mine, theirs = truth[free], mine[free], theirs[free]
        return len(truth) > 0 and quality.is_better(
            workload.quality, truth, mine, theirs, folds=folds, seed=workload.seed
        )

    def answers_alike(self, trial: Trial, other: Trial) -> bool:
        """Whether both answered all rows that judge, with the same labels, or values but for rounding in float32."""
        mine, theirs = self.answered(trial.id), self.answered(other.id)
        if mine is None or theirs is None or len(mine) != len(theirs):
            return False
        if mine.dtype.kind != "f":
            return np.array_equal(mine, theirs)
        return np.allclose(mine, theirs, rtol=0.0, atol=_ROUNDING * float(np.std(theirs)))

    def graded(self, trial: Trial) -> Trial:
        """The trial as it stands to the present reference."""
        answers = self.answered(trial.id)
        if answers is None or trial.status != "done":
            return trial
        judged = self.judge(answers)
        return replace(
            trial, meets_floor=judged.meets, floor_test=judged.floor_test, floor_margin=judged.margin,
            withheld=judged.withheld,
        )  # fmt: skip

    def estimated(self, trials: Sequence[Trial]) -> list[Trial]:
        """The trials with whether they meet the present floor by their estimates; their tests are as they were."""
        metric, rows = self.bench.workload.quality, self.validation
        reference = self.answered(self.reference)
        found = []
        for trial in trials:
            answers = self.answered(trial.id)
            if answers is None or reference is None or trial.quality is None:
                found.append(trial)
                continue
            n = len(answers)
            floor = self.bench.least(rows.rows(n), reference[:n], rows.folds(n))
            found.append(replace(trial, meets_floor=metric.meets(trial.quality.value, floor)))
        return found

    def seen(self, rows: Split, answers: Array | None) -> Quality | None:
        """Quality on rows that a model has learned from."""
        if answers is None:
            return None
        workload = self.bench.workload
        return quality.estimate(workload.quality, rows.y, answers, workload.seed)
