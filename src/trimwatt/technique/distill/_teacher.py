"""What a teacher says of rows, and how far a student follows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trimwatt import framework
from trimwatt.errors import TrialFailed
from trimwatt.workload import Array, Data, Rows, Split, Workload

LEAST = 1e-6


class Teacher:
    """A workload's model, asked once for each split."""

    def __init__(self, workload: Workload) -> None:
        if workload.form == "none":
            raise TrialFailed("there is no teacher: distillation follows a step that makes a model, or a model given")
        if workload.task.target == "labels":
            raise TrialFailed("a student is taught classes or values, and this task decides several labels")
        self.workload = workload
        self._said: dict[int, tuple[Split, Array]] = {}

    def says(self, split: Split) -> Array:
        """Probabilities (n, k) in the order of the classes, or values (n,), for the rows as stored."""
        if id(split) not in self._said:
            answers = _of_the_data(self.workload, framework.get(self.workload.form).scores(self.workload, split.x))
            # the split is kept beside its answers, so that its id is not another's
            self._said[id(split)] = split, answers
        return self._said[id(split)][1]


def _of_the_data(workload: Workload, answers: Array) -> Array:
    """Probabilities of the classes of the data alone, where a teacher that was given knows others too."""
    classes = len(workload.rows.classes or ())
    if workload.task.target == "value" or answers.shape[1] == classes:
        return answers
    kept = answers[:, :classes]
    total = kept.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > LEAST, kept / np.maximum(total, LEAST), 1 / classes), dtype=kept.dtype)


def fidelity(teacher: Workload, student: Workload, rows: Rows) -> float:
    """How far `student` follows `teacher` on rows: the share of equal labels, or for values the share of variance
    (R2, 1 is all of it)."""
    one, other = (framework.get(w.form).scores(w, rows) for w in (teacher, student))
    if teacher.task.target == "class":
        return float(np.mean(one.argmax(axis=1) == other.argmax(axis=1)))
    spread = float(np.var(one))
    return 1.0 - float(np.mean((one - other) ** 2)) / spread if spread > 0 else float(np.allclose(one, other))


def held(workload: Workload) -> Split:
    """Training rows that a student trained in PyTorch was not fitted on."""
    return workload.rows.holdout(workload.seed)[1]


def refuse_larger(teacher: Workload, student: Workload, why: str) -> None:
    """Raise TrialFailed where the student holds more fitted numbers than its teacher; trees have no such size."""
    if any(not framework.get(workload.form).macs(workload) for workload in (teacher, student)):
        return
    sizes = [framework.get(workload.form).parameters(workload) for workload in (teacher, student)]
    if sizes[0] is not None and sizes[1] is not None and sizes[1] > sizes[0]:
        raise TrialFailed(f"the student has {sizes[1]:,} parameters, its teacher {sizes[0]:,}; {why}")


def with_unlabelled(data: Data, teacher: Teacher) -> Data:
    """The data with the unlabelled rows among the training rows, their targets what the teacher says."""
    if data.unlabelled is None:
        return data
    train = data.train
    extra = Split(data.unlabelled, np.empty(0))
    said = teacher.says(extra)
    y = said if data.task.target == "value" else said.argmax(axis=1).astype(train.y.dtype)
    return replace(data, train=train.joined(Split(data.unlabelled, y)))
