"""benchmarks/quality.py: every row is judged once, claims are held to figures, and what is unknown is not met."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FEW = {"drawn": 178, "few": True}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark's modules by name, forgotten afterwards."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    names = ("_record", "_quality_data", "_quality_judge", "_quality_page")
    import _quality_data
    import _quality_judge
    import _quality_page

    yield {"data": _quality_data, "judge": _quality_judge, "page": _quality_page}
    for name in names:
        sys.modules.pop(name, None)


def gap(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def test_of_few_rows_each_is_judged_once_and_no_target_is_handed_over(parts: Any, tmp_path: Path) -> None:
    table = parts["data"].TABLES["wine"]
    folds = parts["data"].write(table, tmp_path)
    judged = parts["judge"].Judged.read(table.metric, folds)
    assert (len(folds), len(judged.truth)) == (5, 178)
    assert sorted(np.bincount(judged.truth).tolist()) == [48, 59, 71]
    assert all("target" not in (fold / "judged.csv").read_text("utf-8").splitlines()[0] for fold in folds)
    judged_rows, train = (set((folds[0] / f).read_text("utf-8").splitlines()[1:]) for f in ("judged.csv", "train.csv"))
    assert not judged_rows & {row.rpartition(",")[0] for row in train}


def test_rows_with_a_time_keep_back_the_last_fifth(parts: Any, tmp_path: Path) -> None:
    import pandas as pd

    hours = pd.DataFrame({"when": [f"2024-01-{d:02}" for d in range(30, 0, -1)], "a": range(30), "y": range(30)})
    table = parts["data"].Table("made", "y", "r2", lambda: hours, "when", ("when",))
    (fold,) = parts["data"].write(table, tmp_path)
    kept = pd.read_csv(fold / "judged.csv")["when"]
    assert kept.tolist() == [f"2024-01-{d:02}" for d in range(25, 31)]
    assert pd.read_csv(fold / "train.csv")["when"].max() == "2024-01-24"


def test_auc_is_taken_within_a_fold(parts: Any) -> None:
    # right in each fold, on scales of their own
    judged = parts["judge"].Judged("auc", np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), np.arange(4))
    chance = np.array([0.1, 0.2, 0.8, 0.9])
    assert judged.value(np.stack([1 - chance, chance], axis=1), np.ones(4)) == 1.0


def test_the_difference_is_paired(parts: Any) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    one = np.where(rng.random(400) < 0.3, 1 - truth, truth)
    other = one.copy()
    other[:2] = 1 - truth[:2]
    one[:2] = truth[:2]
    judged = parts["judge"].Judged("accuracy", truth, np.zeros(400, int), np.arange(400))
    found = parts["judge"].judge(judged, {"trimwatt": one, "flaml": other})
    alone, apart = found["quality"]["flaml"], found["trimwatt_minus"]["flaml"]
    assert apart["value"] == pytest.approx(0.005)
    assert apart["high"] - apart["low"] < (alone["high"] - alone["low"]) / 4


@pytest.mark.parametrize(
    ("found", "few", "verdict"),
    [
        (gap(-0.008, -0.02, 0.01), False, "no"),
        (gap(-0.03, -0.06, 0.01), True, "within the interval of few rows"),
        (gap(-0.03, -0.06, 0.01), False, "yes"),
        (gap(-0.03, -0.04, -0.02), True, "yes"),
        (gap(-0.012, -0.016, -0.008), True, "yes"),
    ],
)
def test_only_wide_intervals_of_few_rows_excuse(parts: Any, found: Any, few: bool, verdict: str) -> None:
    quality = {"trimwatt": gap(0.9, 0.8, 1), "lightgbm": gap(0.92, 0.8, 1)}
    one = {"quality": quality, "trimwatt_minus": {"lightgbm": found}, "few": few}
    told = parts["judge"].verdict(one)
    assert told == {"winner": "lightgbm", "worse_than_untuned": {"lightgbm": verdict}}


def one_set(bare: dict[str, Any], equal: bool = True) -> dict[str, Any]:
    ours = {"trimwatt": {"cpu_s": 1e-5}}
    exports = {"flaml": {"equal_quality": equal}}
    served = {"forms": {"bare": {**ours, **bare}, "frame": {**ours, "flaml": {"ratio": gap(0.05, 0.04, 0.06)}}}}
    return {
        "quality": {"trimwatt": gap(0.9, 0.8, 1)}, "winner": "trimwatt", "exports": exports, "served": served,
        "trimwatt_minus": {"flaml": gap(0.0, -0.1, 0.1)}, "worse_than_untuned": {},
    }  # fmt: skip


def test_a_claim_of_sets_that_were_not_run_is_unknown(parts: Any) -> None:
    below = one_set({"flaml": {"ratio": gap(0.7, 0.6, 0.8)}})
    claims = parts["page"].summary({"wine": below})["claims"]
    assert [claim["met"] for claim in claims] == [None] * 4


def test_an_export_of_equal_quality_must_take_more_with_its_whole_interval(parts: Any) -> None:
    names = list(parts["data"].TABLES)
    below, level = one_set({"flaml": {"ratio": gap(0.7, 0.6, 0.8)}}), one_set({"flaml": {"ratio": gap(0.9, 0.8, 1.1)}})
    worse = one_set({"flaml": {"ratio": gap(2, 1.9, 2.1)}}, equal=False)
    for sets, met in (([below] * 5 + [worse] + [level] * 2, True), ([below] * 5 + [level] * 3, False)):
        claim = parts["page"].summary(dict(zip(names, sets, strict=True)))["claims"][2]
        assert claim["met"] is met, claim
