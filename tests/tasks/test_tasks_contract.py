from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trimwatt import tasks
from trimwatt.tasks import Task
from trimwatt.testing.task import TaskContract
from trimwatt.workload import Array, Data, Split, Workload

ROWS = 240
RNG = np.random.default_rng(0)


def made(task: Task, given: Array) -> Workload:
    """A workload without a model, its training rows all of `given`."""
    from trimwatt.input import target

    found = target.encode({"all": given}, task.name, "target")
    rows = Split(np.zeros((len(given), 1), np.float32), found.parts["all"])
    data = Data(rows, rows, rows, classes=found.classes, task=task)
    positive = task.positive(rows.y, found.classes, None)
    metric = task.metric(task.metrics[0], rows.y, positive)
    return Workload(data, metric=metric, outputs=task.outputs[0], decide=task.decision(data, positive))


class TestRegression(TaskContract):
    @pytest.fixture
    def task(self) -> Task:
        return tasks.get("regression")

    @pytest.fixture
    def given(self) -> Any:
        return np.cumsum(RNG.normal(size=ROWS))

    @pytest.fixture
    def workload(self, task: Task, given: Array) -> Workload:
        return made(task, given)

    @pytest.fixture
    def raw(self, workload: Workload) -> Array:
        return workload.rows.train.y[:, None] + 0.01


class TestClassification(TaskContract):
    @pytest.fixture(params=[(0, 1), (0, 5, 7), ("no", "yes"), ("c", "a", "b", "d")], ids=str)
    def labels(self, request: pytest.FixtureRequest) -> Any:
        return request.param

    @pytest.fixture
    def task(self) -> Task:
        return tasks.get("classification")

    @pytest.fixture
    def given(self, labels: Any) -> Any:
        # not all classes in the same share
        codes = np.arange(ROWS) % (len(labels) + 1) % len(labels)
        return np.asarray(labels, dtype=None if isinstance(labels[0], int) else object)[codes]

    @pytest.fixture
    def workload(self, task: Task, given: Array) -> Workload:
        return made(task, given)

    @pytest.fixture
    def raw(self, workload: Workload) -> Array:
        y = workload.rows.train.y
        return 3 * np.eye(int(y.max()) + 1, dtype=np.float32)[y] + RNG.random((len(y), int(y.max()) + 1))


class TestMultilabel(TaskContract):
    @pytest.fixture
    def task(self) -> Task:
        return tasks.get("multilabel")

    @pytest.fixture
    def given(self) -> Any:
        return (RNG.random((ROWS, 4)) < [0.5, 0.2, 0.7, 0.3]).astype(np.int64)

    @pytest.fixture
    def workload(self, task: Task, given: Array) -> Workload:
        return made(task, given)

    @pytest.fixture
    def raw(self, workload: Workload) -> Array:
        y = workload.rows.train.y
        return 4 * y - 2 + 0.3 * RNG.random(y.shape)
