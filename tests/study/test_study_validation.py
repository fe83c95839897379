"""On which rows candidates are judged, which trial is the reference, and how others stand to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trimwatt import input, metric
from trimwatt.study import gap, validation
from trimwatt.study.bench import Bench, Floor
from trimwatt.study.candidate import Candidate
from trimwatt.study.crossing import cross_fit
from trimwatt.study.engine import Engine
from trimwatt.study.judging import Judging
from trimwatt.study.worker import Outcome
from trimwatt.study.workshop import Made
from trimwatt.technique import make
from trimwatt.trial import Quality, Trial
from trimwatt.workload import Array, Data, Independence, Workload


def _loaded(rows: int = 400, **options: Any) -> Data:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    return input.load({"x": x, "y": (x[:, 0] + rng.normal(size=rows) > 0).astype(int)}, **options)[0]


def _base(data: Data, **changed: Any) -> Workload:
    return Workload(data=data, metric=metric.get("accuracy"), **changed)


def test_few_rows_are_judged_in_folds_all_of_them_but_the_test_rows() -> None:
    data = _loaded()
    plan = validation.plan(_base(data))
    assert len(plan.judged) == len(data.train) + len(data.val) == len(plan.whole.train) and len(plan.parts) == 5
    folds = plan.folds(len(plan.judged))
    assert folds is not None and folds.fitted == min(len(part.train) for part in plan.parts)
    first = plan.folds(len(plan.parts[0].val))
    assert first is not None and set(first.number) == {0}
    assert np.array_equal(plan.rows(len(first.number)).y, plan.parts[0].val.y)
    test = {tuple(row) for row in data.test.x}
    assert not test & {tuple(row) for row in plan.judged.x}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"form": "sklearn"}, "a fitted model was given"),
        ({"data": _loaded(8000)}, "rows are many"),
        ({"data": replace(_loaded(), val_by="source")}, "the data name their validation rows"),
        ({"data": replace(_loaded(), independence=Independence(withheld=True))}, "rows are tied"),
        ({"data": replace(_loaded(), independence=Independence(val=np.arange(80) > 9))}, "some rows are tied"),
    ],
)
def test_else_one_split_judges(changed: dict[str, Any], why: str) -> None:
    plan = validation.plan(replace(_base(_loaded()), **changed))
    assert not plan.is_crossed and len(plan.judged) < len(plan.whole.train), why


def test_a_model_that_comes_untrained_is_judged_in_folds_too() -> None:
    assert validation.plan(_base(_loaded(), form="sklearn", trainer=make("fit"))).is_crossed


def test_groups_fewer_than_folds_fall_back_to_one_split_and_say_so() -> None:
    data = _loaded()
    data = replace(
        data,
        train=replace(data.train, group=np.arange(len(data.train)) % 3),
        val=replace(data.val, group=np.full(len(data.val), 3)),
    )
    plan = validation.plan(_base(data))
    assert not plan.is_crossed and plan.note is not None and "4 groups" in plan.note


def _judging(folder: Path, wrong: dict[str, int], crossed: bool, **few: int) -> Judging:
    """Trials whose first so many answers are wrong; few: how many rows one has answered, where not all."""
    base = _base(_loaded(2000))
    plan = validation.plan(base) if crossed else validation.on_one_split(base.rows)
    bench = Bench(base, None, Floor(0.05, None), 1e9)  # type: ignore[arg-type]
    judging = Judging(bench, plan, folder, chooses=True)
    for name, count in wrong.items():
        (folder / name).mkdir()
        judging.keep(name, _answers(plan.judged.y, count)[: few.get(name, len(plan.judged))])
    judging.reference = next(iter(wrong))
    return judging


def _answers(truth: Array, wrong: int) -> Array:
    return np.where(np.arange(len(truth)) < wrong, 1 - truth, truth)


def _trial(name: str, judging: Judging) -> Trial:
    answers = judging.answered(name)
    assert answers is not None
    value = float(np.mean(answers == judging.validation.judged.y[: len(answers)]))
    found = Quality("accuracy", value, 0, 1, len(answers), True)
    return Trial(name, name, "f", [], "onnxruntime", name, quality=found, meets_floor=True, floor_test="proven")


@pytest.mark.parametrize("crossed", [False, True])
def test_what_is_shown_to_be_stronger_becomes_the_reference_and_all_are_held_to_it(
    tmp_path: Path, crossed: bool
) -> None:
    judging = _judging(tmp_path, {"base": 160, "luckier": 158, "better": 20}, crossed)
    trials = {name: _trial(name, judging) for name in ("base", "luckier", "better")}
    assert not judging.is_stronger(trials["luckier"]) and judging.is_stronger(trials["better"])
    assert judging.graded(trials["base"]).floor_test == "proven"
    judging.reference = "better"
    assert judging.floor() == pytest.approx(trials["better"].quality.value - 0.05)  # type: ignore[union-attr]
    met = {trial.id: trial.meets_floor for trial in judging.estimated([*trials.values()])}
    assert met == {name: judging.graded(trial).meets_floor for name, trial in trials.items()}
    # what the floor is relative to cannot miss it, however few rows there are
    judging.bench.floor = Floor(0.0001, None)
    assert judging.graded(trials["better"]).floor_test == "proven"
    assert judging.graded(trials["base"]).floor_test != "proven"
    judging.chooses = False
    assert not judging.is_stronger(replace(trials["luckier"]))


@pytest.mark.parametrize("first_free", [0, 60, 380])
def test_rows_that_are_tied_to_training_rows_show_nobody_to_be_stronger(tmp_path: Path, first_free: int) -> None:
    judging = _judging(tmp_path, {"base": 160, "better": 20}, False)
    better, rows = _trial("better", judging), np.arange(len(judging.validation.judged))
    # the two differ on rows 20 to 159 alone
    judging.validation = replace(judging.validation, free=rows >= first_free)
    assert judging.is_stronger(better) == (first_free < 160)
    data = judging.bench.workload.rows
    tied = replace(data, independence=Independence(kinds=("time",), withheld=True))
    judging.bench.workload = replace(judging.bench.workload, data=tied)
    assert not judging.is_stronger(better)


def test_only_equal_answers_to_all_rows_are_alike(tmp_path: Path) -> None:
    judging = _judging(tmp_path, {"base": 40, "same": 40, "other": 41, "some": 40}, True, some=320)
    base, same, other, some = (_trial(name, judging) for name in ("base", "same", "other", "some"))
    assert judging.answers_alike(same, base) and judging.answers_alike(base, base)
    assert not judging.answers_alike(other, base) and not judging.answers_alike(some, base)
    values = np.linspace(-40.0, 40.0, len(judging.validation.judged))
    for name, off in (("base", 0.0), ("same", 1e-4), ("other", 1.0)):
        judging.keep(name, values + off)
    # of a spread of 23
    assert judging.answers_alike(same, base) and not judging.answers_alike(other, base)


def test_one_that_answered_some_folds_is_held_to_the_reference_on_these_and_sets_no_floor(tmp_path: Path) -> None:
    judging = _judging(tmp_path, {"base": 40, "lost": 300, "fine": 0}, True, lost=320, fine=320)
    lost, fine = _trial("lost", judging), _trial("fine", judging)
    assert judging.graded(lost).floor_test == "failed" and judging.is_lost(judging.answered("lost"))  # type: ignore[arg-type]
    assert judging.graded(fine).floor_test == "proven" and not judging.is_stronger(fine)


def test_answers_are_kept_for_a_study_that_is_resumed(tmp_path: Path) -> None:
    judging = _judging(tmp_path, {"base": 40, "some": 9}, True, some=320)
    again = Judging(judging.bench, judging.validation, tmp_path, True)
    for name in ("base", "some"):
        assert np.array_equal(again.answered(name), judging.answered(name))  # type: ignore[arg-type]
    # answers to other rows are no answers
    other = Judging(judging.bench, validation.on_one_split(judging.bench.workload.rows), tmp_path, True)
    assert other.answered("base") is None


def test_a_large_gap_to_the_training_rows_is_told_with_what_to_do() -> None:
    def found(train: float, judged: float, greater: bool = True) -> Any:
        quality = {
            name: Quality("m", value, value - 0.01, value + 0.01, 300, greater)
            for name, value in (("train_quality", train), ("quality", judged))
        }

        class Found:
            recommended = Trial("a", "tree", "tree", [], "onnxruntime", "a", **quality)

        return Found

    assert "regularised" in gap.warnings(found(1.0, 0.8))[0]
    assert not gap.warnings(found(0.82, 0.8)) and not gap.warnings(found(0.7, 0.8))
    assert gap.warnings(found(0.1, 0.5, greater=False)) and not gap.warnings(found(0.5, 0.1, greater=False))


@pytest.mark.parametrize(
    ("is_right", "limit_s", "folds", "error"),
    [(True, 1e3, 5, None), (True, 0.03, 1, "1 of 5 folds"), (False, 1e3, 1, None)],
)
def test_some_folds_that_disprove_nothing_are_no_judgement(
    tmp_path: Path, is_right: bool, limit_s: float, folds: int, error: str | None
) -> None:
    judging = _judging(tmp_path, {"base": 0}, True)

    def in_folds(*asked: Any) -> Iterator[Made]:
        for part in judging.validation.parts:
            time.sleep(0.02)
            yield Made(Outcome(val=part.val.y if is_right else 1 - part.val.y), None, ())

    shop = SimpleNamespace(use=lambda name, data: None, in_folds=in_folds)
    engine: Any = SimpleNamespace(
        judging=judging, workshop=shop, ledger=SimpleNamespace(book=lambda *entry: None), place=lambda name: tmp_path,
        workload=judging.bench.workload,
    )  # fmt: skip
    trial = Trial("x", "x", "f", [], "onnxruntime", "x")
    crossed = cross_fit(engine, trial, Candidate((make("tree"),)), limit_s)
    assert len(crossed.answers) == folds
    assert crossed.error is None if error is None else error in str(crossed.error)


def test_rows_tied_to_training_rows_make_no_reference(tmp_path: Path) -> None:
    data = _loaded(2000)
    free = np.arange(len(data.val)) >= len(data.val) // 4
    base = _base(replace(data, val_by="source", independence=Independence(val=free)))
    judging = Judging(Bench(base, None, Floor(0.05, None), 1e9), validation.plan(base), tmp_path, True)  # type: ignore[arg-type]
    wrong = {"base": np.arange(len(free)) < 90, "knows them by heart": free & (np.arange(len(free)) < 130)}
    for name, where in wrong.items():
        (tmp_path / name).mkdir()
        judging.keep(name, np.where(where, 1 - data.val.y, data.val.y))
    judging.reference = "base"
    assert wrong["base"].sum() > 2 * wrong["knows them by heart"].sum()
    assert not judging.is_stronger(_trial("knows them by heart", judging))


def test_a_metric_of_ranks_sets_the_floor_within_the_folds_as_it_judges_within_them(tmp_path: Path) -> None:
    """Scores of two folds share no scale, so over all rows together the reference would look worse than it is."""
    base = replace(_base(_loaded(2000)), metric=metric.get("auc", 1))
    plan = validation.plan(base)
    judging = Judging(Bench(base, None, Floor(0.01, None), 1e9), plan, tmp_path, True)  # type: ignore[arg-type]
    folds = plan.folds(len(plan.judged))
    assert folds is not None
    noise = np.random.default_rng(0).normal(size=len(plan.judged))
    score = 1 / (1 + np.exp(-(plan.judged.y + noise + 3.0 * folds.number)))
    (tmp_path / "base").mkdir()
    judging.keep("base", np.stack([1 - score, score], axis=1))
    judging.reference = "base"
    judged = judging.judge(judging.answered("base"))  # type: ignore[arg-type]
    assert judged.floor == judging.floor() == pytest.approx(judged.quality.value - 0.01)
    trial = replace(_trial_of(judged.quality), meets_floor=False)
    assert judging.estimated([trial])[0].meets_floor


def _trial_of(found: Quality) -> Trial:
    return Trial("base", "base", "f", [], "onnxruntime", "base", quality=found)


def test_grades_against_a_reference_of_an_earlier_run_are_made_again(tmp_path: Path) -> None:
    judging = _judging(tmp_path, {"base": 160, "other": 158}, False)
    stale = replace(_trial("other", judging), meets_floor=False, floor_test="failed")
    trials = [_trial("base", judging), stale]
    for earlier, test in ((None, "failed"), ("gone", judging.graded(stale).floor_test)):
        kept = {"reference": earlier}
        engine: Any = SimpleNamespace(
            judging=judging, baseline_id="base", trials=list(trials), by_id=lambda name: trials[0],
            store=SimpleNamespace(get=kept.get, set=kept.__setitem__),
            ledger=SimpleNamespace(booking=lambda *entry: contextlib.nullcontext()),
        )  # fmt: skip
        Engine.grade(engine, SimpleNamespace(baseline=trials[0], reference=trials[0]))  # type: ignore[arg-type]
        assert engine.trials[1].floor_test == test
        assert kept["reference"] == (earlier and "base")
