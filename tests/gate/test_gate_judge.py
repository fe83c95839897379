"""A limit is broken only where the whole interval lies beyond it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt import metric
from trimwatt.compare.statistics import Interval
from trimwatt.gate import judge
from trimwatt.gate.config import Check, QualityFloor
from trimwatt.gate.measure import plan_for
from trimwatt.gate.result import Checked, Finding, Outcome
from trimwatt.gate.target import Answers


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [
        (1.03, 1.08, "fail"),
        (1.0201, 1.3, "fail"),
        (1.02, 1.3, "inconclusive"),
        (0.99, 1.02, "pass"),
        (0.4, 0.5, "pass"),
    ],
)
def test_a_ratio_fails_only_beyond_its_tolerance(low: float, high: float, status: str) -> None:
    found = judge.ratio("energy", "main", Interval((low + high) / 2, low, high), 0.02)
    assert (found.status, found.limit, found.unit) == (status, 1.02, "ratio")


@given(st.floats(0.5, 2), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.2))
def test_a_wider_interval_settles_less(value: float, below: float, above: float, more: float) -> None:
    narrow = judge.upper(value - below, value + above, 1.02)
    wide = judge.upper(value - below - more, value + above + more, 1.02)
    assert wide in (narrow, "inconclusive")


FLOOR = QualityFloor("accuracy", floor=0.9)


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        (Answers(0.9), "pass"), (Answers(0.89), "fail"), (Answers(0.89, 0.87, 0.91), "inconclusive"),
        (Answers(0.88, 0.86, 0.89), "fail"), (Answers(0.91, 0.89, 0.93), "pass"),
    ],
)  # fmt: skip
def test_a_floor_is_missed_where_no_interval_leaves_it_open(answers: Answers, status: str) -> None:
    found = judge.least(answers, FLOOR)
    assert found is not None and found.status == status
    assert ("not proven" in found.note) == (status == "pass" and answers.low == 0.89)


def test_an_error_has_its_floor_above() -> None:
    for floor in (QualityFloor("mae", floor=2.0), QualityFloor("loss", floor=2.0, greater_is_better=False)):
        kept, missed = judge.least(Answers(1.9), floor), judge.least(Answers(2.1), floor)
        assert kept is not None and missed is not None
        assert (kept.status, missed.status) == ("pass", "fail")


def test_a_drop_on_the_same_rows_is_graded_by_them() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2000)
    then, few, many = truth.copy(), truth.copy(), truth.copy()
    few[:6], many[:200] = 1 - few[:6], 1 - many[:200]
    accuracy, floor = metric.get("accuracy"), QualityFloor("accuracy", max_drop=0.01)

    def answers(prediction: np.ndarray) -> Answers:
        return Answers(float((prediction == truth).mean()), None, None, truth, prediction, accuracy)

    kept = judge.drop(answers(few), answers(then), floor, "main")
    broken = judge.drop(answers(many), answers(then), floor, "main")
    assert kept is not None and broken is not None
    assert (kept.status, broken.status) == ("pass", "fail")
    assert "rows resolve" in kept.note
    plain = judge.drop(Answers(0.95), Answers(0.97), floor, "main")
    assert plain is not None and (plain.status, plain.limit) == ("fail", pytest.approx(0.96))
    assert judge.drop(Answers(0.9), Answers(0.9), FLOOR, "main") is None


def test_sizes_have_no_doubt() -> None:
    assert judge.exact_size(1001, 1000).status == "fail"
    assert judge.exact_size(1000, 1000).status == "pass"
    grown = judge.size_ratio(1030, 1000, "main", 0.02)
    assert grown is not None and grown.status == "fail"
    assert judge.size_ratio(1, 0, "main", 0.02) is None


@pytest.mark.parametrize(
    ("statuses", "strict", "code"),
    [(["pass"], True, 0), ([], True, 0), (["pass", "inconclusive"], False, 0), (["pass", "inconclusive"], True, 4),
     (["inconclusive", "fail"], True, 1), (["fail"], False, 1)],
)  # fmt: skip
def test_exit_codes(statuses: list[str], strict: bool, code: int) -> None:
    findings = tuple(Finding("energy", "main", s, 1.0, 0.9, 1.1, 1.02, "ratio") for s in statuses)  # type: ignore[arg-type]
    outcome = Outcome((Checked("x", "run", findings),), "main", {}, strict)
    assert outcome.exit_code == code


def test_both_sides_are_opened_again_where_a_run_is_no_fresh_process() -> None:
    called, command = plan_for(Check("a", callable="m:f")), plan_for(Check("a", command=("true",)))
    assert (called.sitting, command.sitting) == (5, None)
    assert (called.least_pairs, called.level) == (20, 0.98)
