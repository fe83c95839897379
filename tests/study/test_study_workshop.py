"""Candidates made in folds: what each fold costs, and how long it may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trimwatt.energy import Energy
from trimwatt.errors import TrialStopped
from trimwatt.study import workshop
from trimwatt.study.worker import Handle, Job, Outcome, Usage
from trimwatt.study.workshop import Workshop
from trimwatt.technique import make
from trimwatt.testing import samples

_STEPS, _NAMES = (make("linear"),), ["fold0", "fold1", "fold2"]


def _usage(stage: str) -> Usage:
    return Usage(stage, stage, Energy(1.0, 1.0, 1.0, "measured"), 1.0, 1.0)


class Worker:
    """Makes every fold, but for those that `stops` names; `limits`: the seconds that each was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, stops: Callable[[int], bool]) -> None:
        self.limits: list[float] = []
        self.stops = stops
        monkeypatch.setattr(workshop, "Child", self._child)
        self.shop = Workshop(samples.digits(rows=100), folder / "work", None, 1e9)
        for name in _NAMES:
            self.shop.use(name, samples.digits(rows=100).rows)

    @contextmanager
    def _child(self, *_: Any, **__: Any) -> Iterator[Any]:
        def call(job: Job, limit_s: float) -> Outcome:
            self.limits.append(limit_s)
            if self.stops(len(self.limits)):
                raise TrialStopped("took too long")
            made = [(key, Handle(Path("x"), "x")) for _, key in job.steps]
            return Outcome([_usage("train"), _usage("export")], made, val=np.zeros(1))

        yield SimpleNamespace(call=call)


def test_a_fold_that_is_stopped_does_not_cost_what_the_first_did_once_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker = Worker(monkeypatch, tmp_path, lambda call: call == 2)
    made = list(worker.shop.in_folds(_STEPS, "onnxruntime", tmp_path, _NAMES, 100.0))
    assert [m.cost.joules if m.cost else None for m in made] == [2.0, None]


def test_one_fold_is_cut_off_at_its_own_limit_and_not_tried_again_in_as_little_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker = Worker(monkeypatch, tmp_path, lambda call: True)
    for most_s in (3.0, 2.0):
        made = list(worker.shop.in_folds(_STEPS, "onnxruntime", tmp_path, _NAMES, 100.0, most_s))
        assert len(made) == 1 and made[0].outcome.late
    assert worker.limits == [3.0]
