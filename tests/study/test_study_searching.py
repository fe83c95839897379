"""Searches in a study: when they are due, what becomes of what they find, and what a resumed study does not repeat."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trimwatt import _handoff, metric
from trimwatt.energy import Energy
from trimwatt.errors import TrialStopped
from trimwatt.study import searching
from trimwatt.study.candidate import Candidate
from trimwatt.study.families import Families
from trimwatt.study.space import Space
from trimwatt.study.worker import Usage
from trimwatt.technique import make
from trimwatt.technique.classical.tuning import FAMILIES, Found
from trimwatt.testing import samples
from trimwatt.trial import Quality, Trial

_BOOSTED = (make("boosted", rounds=240, leaves=15), make("boosted", rounds=30, leaves=8))


def _trial(quality: float = 0.9, meets: bool = True) -> Trial:
    return Trial(
        "t", "t", "f", [], "onnxruntime", "k", meets_floor=meets, floor_test="not_disproven" if meets else "failed",
        quality=Quality("accuracy", quality, quality, quality, 100, True),
    )  # fmt: skip


def _space(techniques: str = "all") -> Space:
    workload = samples.digits(rows=300)
    return Space(workload, Candidate((make("boosted"),), "sklearn"), techniques)


def _energy(joules: float) -> Energy:
    return Energy(joules, joules, joules, "measured")


class Fakes:
    """The part of an engine that searches need; `found` is what a worker answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, left_s: float = 100.0) -> None:
        self.asked: list[tuple[searching.Asked, float]] = []
        self.found: Callable[[searching.Asked], Found] = lambda asked: Found(_BOOSTED, 9)
        self.stored: dict[str, Any] = {}
        self.events: list[str] = []
        self.booked: list[Usage] = []
        self.engine: Any = SimpleNamespace(
            left_s=lambda: left_s, event=lambda kind, text: self.events.append(text),
            options=SimpleNamespace(max_drop=0.01), store=SimpleNamespace(get=self.stored.get, set=self._set),
            workload=samples.digits(rows=300),
            workshop=SimpleNamespace(folder=folder, server=None, memory_limit_bytes=1e9, searched={}),
            ledger=SimpleNamespace(booking=self._booking, book=lambda trial, usages: self.booked.extend(usages)),
        )  # fmt: skip
        monkeypatch.setattr(searching, "Child", self._child)

    def _set(self, key: str, value: Any) -> None:
        self.stored[key] = json.loads(json.dumps(value))

    @contextmanager
    def _booking(self, stage: str, trial: str | None, step: str) -> Iterator[None]:
        assert stage == "train" and trial is None and step.startswith("search for ")
        yield

    @contextmanager
    def _child(self, *_: Any, **__: Any) -> Iterator[Any]:
        def call(asked: searching.Asked, limit_s: float) -> searching.Answer:
            self.asked.append((asked, limit_s))
            usage = Usage("train", searching.step_name(asked.family), _energy(7.0), 1.0, 1.0)
            return searching.Answer(self.found(asked), usage)

        yield SimpleNamespace(call=call)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fakes:
    return Fakes(monkeypatch, tmp_path)


def test_a_search_is_due_once_the_usual_models_were_tried_and_what_it_found_is_tried_before_the_next(
    fakes: Fakes,
) -> None:
    space = _space()
    queue = space.first()
    assert searching.with_findings(fakes.engine, space, queue) == queue and not fakes.asked
    late = queue[-2:]
    (strongest, *rest) = searching.with_findings(fakes.engine, space, late)
    assert strongest.recipe == _BOOSTED[:1] and rest == late and len(fakes.asked) == 1
    assert searching.with_findings(fakes.engine, space, [strongest, *rest]) == [strongest, *rest]
    assert len(fakes.asked) == 1
    searching.with_findings(fakes.engine, space, rest)
    assert len(fakes.asked) == len(FAMILIES)  # the same models found again are no new candidates


def test_the_family_whose_usual_model_did_best_is_searched_first(fakes: Fakes) -> None:
    for measured, greater in (("accuracy", True), ("rmse", False)):
        families = Families(metric.get(measured))
        for name, quality in (("linear", 0.80), ("forest", 0.90), ("boosted", 0.85)):
            families.learn(_trial(quality), Candidate((make(name),)))
        families.learn(_trial(0.99), Candidate((make("linear", strength=5.0),)))
        order = [families.pop_most_promising() for _ in FAMILIES]
        assert order[:3] == (["forest", "boosted", "linear"] if greater else ["linear", "boosted", "forest"])
        assert set(order) == set(FAMILIES)


def test_a_family_that_is_far_behind_is_not_searched() -> None:
    for measured, best, near, far in (("accuracy", 0.90, 0.75, 0.60), ("rmse", 40.0, 46.0, 60.0)):
        families = Families(metric.get(measured))
        for name, quality in (("forest", best), ("linear", near), ("mlp", far)):
            families.learn(_trial(quality), Candidate((make(name),)))
        searched = [families.pop_most_promising() for _ in range(len(FAMILIES) - 1)]
        assert families.left == [] and "mlp" not in searched and "linear" in searched


def test_cheaper_models_and_a_pupil_follow_where_the_strongest_meets_the_floor() -> None:
    for meets in (True, False):
        space = _space()
        space.first()
        (strongest,) = space.found(_BOOSTED)
        more = space.after(_trial(meets=meets), strongest)
        recipes = [candidate.recipe for candidate in more]
        assert ((_BOOSTED[1],) in recipes) is meets
        assert any(step.name == "distill-tree" for recipe in recipes for step in recipe) is meets
        assert not [c for c in space.after(_trial(meets=meets), strongest) if c.recipe == (_BOOSTED[1],)]


def test_nothing_is_searched_where_classical_models_were_not_asked_for_or_pictures_are_wide(fakes: Fakes) -> None:
    import numpy as np

    space = _space("quantize")
    assert searching.with_findings(fakes.engine, space, []) == [] and not fakes.asked
    base = samples.digits(kind="image", rows=60)
    wide = np.zeros((len(base.rows.train), 40, 40, 3), dtype=np.float32)
    data = replace(base.rows, train=replace(base.rows.train, x=wide))
    space = Space(replace(base, data=data), Candidate((), "torch"), "all")
    space.first()
    assert searching.with_findings(fakes.engine, space, []) == [] and not fakes.asked


def test_a_resumed_study_takes_what_was_found_and_what_that_took(fakes: Fakes) -> None:
    first, again = _space(), _space()
    for space in (first, again):
        space.first()
        fakes.engine.workshop.searched.clear()
        (candidate,) = searching.with_findings(fakes.engine, space, [])
        assert candidate.recipe == _BOOSTED[:1]
        assert {step: e.joules for step, e in fakes.engine.workshop.searched.items()} == dict.fromkeys(_BOOSTED, 7.0)
    assert len(fakes.asked) == 1 and len(fakes.booked) == 1
    fakes.stored[searching.step_name("linear")] = {"found": [{"technique": "sorcery"}], "usage": {}}
    (again._proposed,) = (set(),)
    searching.with_findings(fakes.engine, again, [])
    assert [asked.family for asked, _ in fakes.asked].count("linear") == 1


def test_a_search_without_time_or_one_that_hangs_is_said_and_the_study_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    short = Fakes(monkeypatch, tmp_path, left_s=4.0)
    space = _space()
    space.first()
    assert searching.with_findings(short.engine, space, []) == [] and not short.asked
    assert len(short.events) == len(FAMILIES) and all("no time for a search" in text for text in short.events)
    stuck = Fakes(monkeypatch, tmp_path)

    def hang(asked: searching.Asked) -> Found:
        raise TrialStopped("took more than 40 s, the time it was given")

    stuck.found = hang
    space = _space()
    space.first()
    assert searching.with_findings(stuck.engine, space, []) == [] and not stuck.stored
    assert any("came to nothing: took more than 40 s" in text for text in stuck.events)


def test_each_search_has_its_share_of_the_time_and_a_minute_at_most(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for left_s, most in ((100.0, 20.0), (1e6, 60.0)):
        fakes = Fakes(monkeypatch, tmp_path, left_s)
        fakes.found = lambda asked: Found(note="none of them could be fitted")
        space = _space()
        space.first()
        searching.with_findings(fakes.engine, space, [])
        limits = {asked.family: asked.limit_s for asked, _ in fakes.asked}
        assert max(limits.values()) == pytest.approx(most) and set(limits) == set(FAMILIES)
        assert all(limit_s > asked.limit_s for asked, limit_s in fakes.asked)


def test_the_worker_gets_training_rows_alone_and_says_what_searching_them_took(fakes: Fakes) -> None:
    space = _space()
    space.first()
    searching.with_findings(fakes.engine, space, [])
    (asked, _), *_ = fakes.asked
    rows = _handoff.read(asked.base.path, asked.base.digest).rows
    assert len(rows.val) == len(rows.test) == 0 and len(rows.train) == 180
    answer = searching.serve()(replace(asked, family="linear", limit_s=60.0))
    assert answer.found.techniques[0].name == "linear"
    assert (answer.usage.stage, answer.usage.step) == ("train", "search for linear models")
    assert answer.usage.cpu_s > 0
