"""What is proven on rows that are tied to training rows is withheld, and everything that is said follows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from studying import optimize

from trimwatt import metric
from trimwatt.energy import Energy
from trimwatt.input import load
from trimwatt.report import _facts, cards
from trimwatt.runtime._base import Artifact
from trimwatt.scenario import Scenario
from trimwatt.study import recommend, settle, setup, summary, verdict
from trimwatt.study.bench import Bench, Floor, Judged
from trimwatt.study.engine import Found
from trimwatt.study.options import Options
from trimwatt.trial import Quality, Ratio, Trial
from trimwatt.workload import Array, Data, Independence, Split, Workload

pytest.importorskip("sklearn")
FREE = Independence()
SEEN = Independence(("twins",), 40, reason="40 of 50 rows repeat others", remedy="remove the copies", withheld=True)


def _bench(independence: Independence = FREE) -> Bench:
    y = np.tile([0, 1], 200)
    split = Split(np.zeros((400, 1)), y)
    data = Data(split, split, split, classes=(0, 1), independence=independence)
    return Bench(Workload(data=data, metric=metric.get("accuracy")), None, Floor(0.05, None), 1e9)  # type: ignore[arg-type]


def _judged(right_on_free: float, free: Array | None, independence: Independence = FREE) -> Judged:
    """A candidate that is right on all tied rows, and on a share of the others; the baseline is right on all."""
    bench = _bench(independence)
    rows = bench.workload.rows.val
    answers = rows.y.copy()
    others = np.flatnonzero(free) if free is not None else np.arange(0)
    wrong = others[: round((1 - right_on_free) * len(others))]
    answers[wrong] = 1 - answers[wrong]
    return bench.judge(rows, answers, rows.y, free)


def test_proven_stands_where_the_independent_rows_prove_it_too() -> None:
    free = np.arange(400) % 2 == 0
    found = _judged(1.0, free)
    assert (found.floor_test, found.withheld, found.meets) == ("proven", False, True)


def test_proven_falls_where_the_independent_rows_do_not_prove_it() -> None:
    found = _judged(0.5, np.arange(400) < 24)  # 12 errors of 400 are within 5 points, 12 of 24 are not
    assert (found.floor_test, found.withheld, found.independent) == ("not_disproven", True, False)


def test_nothing_is_proven_where_rows_are_withheld_not_even_of_the_baseline() -> None:
    found = _judged(1.0, None, SEEN)
    assert (found.floor_test, found.withheld, found.meets) == ("not_disproven", True, True)
    bench = _bench(SEEN)
    rows = bench.workload.rows.val
    assert bench.judge(rows, rows.y, rows.y).floor_test == "not_disproven"


@pytest.mark.parametrize(("free", "grade"), [(24, "not_disproven"), (200, "proven")])
def test_the_baseline_is_not_proven_by_a_few_rows_that_are_left(free: int, grade: str) -> None:
    rows, left = _bench().workload.rows.val, np.arange(400) < free
    found = _bench().judge(rows, rows.y, rows.y, left)
    assert (found.floor_test, found.withheld, found.meets) == (grade, grade != "proven", True)


def test_what_fails_still_fails() -> None:
    bench = _bench(SEEN)
    rows = bench.workload.rows.val
    assert bench.judge(rows, 1 - rows.y, rows.y).floor_test == "failed"


def _trial(name: str, ratio: float, **changed: Any) -> Trial:
    one = Energy(ratio, ratio, ratio, "estimated")
    return replace(
        Trial(
            name, name, "tree", [], "onnxruntime", name, meets_floor=True, floor_test="not_disproven",
            quality=Quality("accuracy", 0.9, 0.88, 0.92, 360, True), energy_per_prediction=one, cost=one,
            ratio_to_baseline=Ratio(ratio, ratio, ratio, 20, "less" if ratio < 1 else "tied", "cpu_seconds"),
        ),
        **changed,
    )  # fmt: skip


def _found(chosen: Trial, **changed: Any) -> Found:
    base = _trial("base", 1.0)
    return Found(base, base, 0.89, chosen, **changed)


def test_the_verdict_says_why_and_what_to_do() -> None:
    pay = recommend.PayBack(1.0, 2.0)
    said = verdict.sentence(_found(_trial("small", 0.1), independent=False), Options(), pay, SEEN)
    assert "not independently confirmed: 40 of 50 rows repeat others (to have it confirmed, remove the copies)" in said
    assert "; confirmed on" not in said
    kept = verdict.sentence(_found(_trial("base", 1.0), independent=False), Options(), pay, SEEN)
    assert kept.startswith("Keep the baseline") and "not independently confirmed" in kept


@pytest.mark.parametrize(
    ("strict", "meets", "confirmed", "code"),
    [(False, True, None, 0), (False, False, None, 0), (True, True, None, 4), (True, False, None, 4)],
)
def test_what_is_withheld_ends_with_0_or_under_strict_with_4(
    strict: bool, meets: bool, confirmed: bool | None, code: int
) -> None:
    found = _found(_trial("small", 0.1), independent=False)
    settle._confirm_by(found, Judged(Quality("accuracy", 0, 0, 1, 9, True), 0.9, "not_disproven", 0.1, meets))
    assert found.confirmed is confirmed
    assert summary.exit_code(found, Options(strict=strict), []) == code


@pytest.mark.parametrize("ties", [SEEN, FREE])
def test_strict_says_what_meets_the_floor_by_its_estimate_alone(
    ties: Independence, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor, small = replace(_trial("base", 1.0), meets_floor=False, floor_test="failed"), _trial("small", 0.1)
    monkeypatch.setattr(settle, "_decide", lambda engine, found, pool: None)
    found, options = Found(poor, poor, 0.89), Options(strict=True)
    settle.decide(_engine([poor, small], ties, options), found)
    said = verdict.sentence(found, options, recommend.PayBack(None, None), ties)
    assert summary.exit_code(found, options, [poor, small]) == 4 and found.independent is not ties.withheld
    assert "small meets the floor by estimate" in said and "Nothing that was tried meets" not in said
    assert (f", not independently confirmed: {ties.reason} (to have it confirmed, {ties.remedy})" in said) is (
        ties.withheld
    )
    study = {"trials": [], "verdict": said, "exit_code": 4, "independence": summary.independence(_rows(ties))}
    assert _facts.headline(study) == "Nothing tried is proven to meet the floor"
    assert (("bad", "not independently confirmed") in _facts.badges(study)) is ties.withheld


def test_nothing_that_meets_the_floor_still_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    poor = replace(_trial("base", 1.0), meets_floor=False, floor_test="failed")
    monkeypatch.setattr(settle, "_decide", lambda engine, found, pool: None)
    found, options = Found(poor, poor, 0.89), Options(strict=True)
    settle.decide(_engine([poor], SEEN, options), found)
    assert summary.exit_code(found, options, [poor]) == 1 and not found.independent


def test_test_rows_that_alone_are_independent_must_agree() -> None:
    found = _found(_trial("small", 0.1))
    settle._confirm_by(
        found, Judged(Quality("accuracy", 1, 1, 1, 9, True), 0.9, "proven", 0.1, True, independent=False)
    )
    assert not found.independent and found.confirmed is None
    sure = _found(_trial("small", 0.1))
    settle._confirm_by(sure, Judged(Quality("accuracy", 0, 0, 1, 9, True), 0.9, "failed", 0.1, False))
    assert sure.confirmed is False and summary.exit_code(sure, Options(), []) == 1


def test_study_json_says_what_ties_the_rows() -> None:
    rows = _bench(replace(SEEN, columns=("who",))).workload.rows
    said = summary.independence(rows)  # whatever was recommended, or nothing
    assert {key: said[key] for key in ("status", "kinds", "rows", "columns")} == {
        "status": "withheld", "kinds": ["twins"], "rows": 40, "columns": ["who"],
    }  # fmt: skip
    assert summary.independence(_rows(FREE))["status"] == "independent"
    assert summary.independence(_rows(FREE), confirmed=False)["status"] == "withheld"


def test_a_study_that_is_stopped_says_it_too() -> None:
    meter = SimpleNamespace(name="none", origin="estimated")
    said = summary.opening(_bench(SEEN).workload, Options(), meter)["independence"]  # type: ignore[arg-type]
    assert (said["status"], said["rows"]) == ("withheld", 40)


def test_report_and_card_say_it() -> None:
    study = {
        "trials": [_trial("small", 0.1).to_dict(), _trial("base", 1.0).to_dict()], "recommended": "small",
        "baseline": "base", "independence": {"status": "withheld"}, "verdict": "Use small", "metric": "accuracy",
    }  # fmt: skip
    assert _facts.headline(study) == "small: not independently confirmed"
    assert ("bad", "not independently confirmed") in _facts.badges(study)
    assert "Not independently confirmed" in cards._limits(study, {})


def _workload(split: bool, fitted: bool) -> Workload:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = (x[:, 0] > 0).astype(int)
    data, _ = load(((x[:200], y[:200]), (x[200:250], y[200:250]), (x[250:], y[250:])) if split else (x, y))
    model = LogisticRegression()
    return setup.workload(
        model.fit(x, y) if fitted else model, data, metric_name=None, positive=None, scenario=Scenario(),
        seed=0, train=False,
    )  # fmt: skip


@pytest.mark.parametrize(("split", "fitted", "seen"), [(False, True, True), (True, True, False), (False, False, False)])
def test_a_fitted_model_may_have_seen_rows_that_name_no_split(split: bool, fitted: bool, seen: bool) -> None:
    data = _workload(split, fitted).rows
    assert data.independence.withheld is seen and ("seen" in data.independence.kinds) is seen
    assert bool([w for w in data.warnings if "may have seen them all" in w]) is seen


def _rows(independence: Independence) -> Data:
    return _bench(independence).workload.rows


def _engine(trials: list[Trial], independence: Independence, options: Options) -> Any:
    return SimpleNamespace(
        trials=trials, openable=lambda: {trial.id for trial in trials}, options=options,
        workload=_bench(independence).workload, keep_pending=lambda: None,
        artifact=lambda trial: Artifact(Path(), "x", ()),
        judging=SimpleNamespace(answers_alike=lambda trial, other: "apart" not in trial.id),
    )  # fmt: skip


@pytest.mark.parametrize(("ties", "goes_first"), [(SEEN, ["lean", "base"]), (FREE, ["tiny", "apart", "lean", "base"])])
def test_where_rows_prove_nothing_the_same_model_served_leaner_is_chosen(
    ties: Independence, goes_first: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline, tiny = _trial("base", 1.0), _trial("tiny", 0.1, recipe=[{"technique": "tree"}])
    trials = [baseline, tiny, _trial("lean", 0.5), _trial("apart", 0.2)]
    asked: list[list[Trial]] = []

    def decide(engine: Any, found: Found, pool: list[Trial]) -> None:
        asked.append(pool)
        found.recommended = pool[0]

    monkeypatch.setattr(settle, "_decide", decide)
    found = Found(baseline, baseline, 0.89)
    settle.decide(_engine(trials, ties, Options()), found)
    assert [trial.id for trial in asked[0]] == goes_first and len(asked) == 1
    assert (found.boldest is not None and found.boldest.id == "tiny") is ties.withheld


def test_strict_keeps_the_baseline_where_nothing_can_be_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    baseline = _trial("base", 1.0)
    asked: list[list[Trial]] = []
    monkeypatch.setattr(settle, "_decide", lambda engine, found, pool: asked.append(pool))
    settle.decide(
        _engine([baseline, _trial("small", 0.1)], SEEN, Options(strict=True)), Found(baseline, baseline, 0.89)
    )
    assert asked == [[baseline]]


@pytest.mark.slow
def test_a_study_of_a_fitted_model_on_one_table_is_withheld(tmp_path: Path) -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_breast_cancer(return_X_y=True)
    model = RandomForestClassifier(20, random_state=0).fit(x, y)
    asked: dict[str, Any] = {"data": (x, y), "techniques": "runtime", "budget": "1h", "output": tmp_path / "out"}
    done = optimize(model, **asked)
    found = done.summary
    assert found["independence"]["status"] == "withheld" and found["independence"]["kinds"] == ["seen"]
    assert "not independently confirmed" in found["verdict"] and found["exit_code"] == 0
    assert not [trial for trial in found["trials"] if trial["floor_test"] == "proven"]
    assert optimize(model, **asked, resume=True, strict=True).summary["exit_code"] == 4
