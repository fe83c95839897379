from __future__ import annotations

import numpy as np
import pytest

from trimwatt import metric
from trimwatt.compare import quality
from trimwatt.compare.quality import estimate, floor_test, resolvable_margin
from trimwatt.compare.statistics import clopper_pearson
from trimwatt.errors import InputError
from trimwatt.metric import Metric

ACCURACY = metric.get("accuracy")


def _labels(n: int, wrong: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    prediction = truth.copy()
    prediction[rng.permutation(n)[:wrong]] += 1
    return truth, prediction % 3


def test_accuracy_interval_is_near_the_exact_one() -> None:
    truth, prediction = _labels(400, 40)
    found = estimate(ACCURACY, truth, prediction)
    assert found.value == 0.9
    assert (found.low, found.high) == pytest.approx(clopper_pearson(360, 400), abs=0.006)
    assert (found.metric, found.rows, found.greater_is_better) == ("accuracy", 400, True)


def test_no_error_among_few_rows_proves_little() -> None:
    truth, prediction = _labels(50, 0)
    found = estimate(ACCURACY, truth, prediction)
    assert found.high == 1
    assert found.low == pytest.approx(clopper_pearson(50, 50)[0], abs=0.03)
    assert floor_test(ACCURACY, truth, prediction, floor=0.99).grade == "not_disproven"
    assert floor_test(ACCURACY, truth, prediction, floor=0.9).grade == "proven"


def test_same_seed_same_interval() -> None:
    truth, prediction = _labels(200, 20)
    assert estimate(ACCURACY, truth, prediction, 3) == estimate(ACCURACY, truth, prediction, 3)
    assert len({estimate(ACCURACY, truth, prediction, seed) for seed in range(8)}) > 1


def test_grouping_rows_changes_no_value() -> None:
    truth, prediction = _labels(300, 30)
    for name in ("accuracy", "f1"):
        m = metric.get(name)
        rows = quality._grouped(m, truth, prediction, truth)
        assert len(rows.counts) < 20
        assert m(rows.truth, rows.candidate, rows.counts) == pytest.approx(m(truth, prediction))


@pytest.mark.parametrize("name", ["accuracy", "f1", "auc", "mae", "rmse", "r2"])
def test_every_metric_has_an_interval_that_holds_it(name: str) -> None:
    rng = np.random.default_rng(0)
    m = metric.get(name, positive=1)
    truth = rng.integers(0, 2, 300) if m.reads != "values" else rng.normal(size=300)
    score = np.clip(truth * 0.4 + rng.random(300) * 0.6, 0, 1)
    given = {"labels": (score > 0.5).astype(int), "probabilities": np.stack([1 - score, score], 1), "values": score}
    found = estimate(m, truth, given[m.reads])
    assert found.low < found.value < found.high


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(60):
        truth = rng.integers(0, 2, 150)
        prediction = np.where(rng.random(150) < 0.9, truth, 1 - truth)
        found = estimate(ACCURACY, truth, prediction, seed)
        hits += found.low <= 0.9 <= found.high
    assert hits >= 54


def test_360_rows_at_5_percent_discordance_resolve_about_two_points() -> None:
    truth, baseline = _labels(360, 18, seed=0)
    candidate = truth.copy()
    margin = resolvable_margin(ACCURACY, truth, candidate, baseline)
    # candidate is right on all 18: the drift of the mean is taken out by the margin's definition
    assert margin == pytest.approx(1.645 * (0.05 / 360) ** 0.5, abs=0.005)
    graded = floor_test(ACCURACY, truth, candidate, baseline, max_drop=0.01)
    assert graded.discordance == pytest.approx(0.05)
    assert str(graded).startswith("proven: 360 rows at 5.0% discordance resolve 0.0")


def test_grades_of_a_relative_floor() -> None:
    truth, baseline = _labels(2000, 100)
    same, worse = baseline.copy(), baseline.copy()
    worse[:200] = (truth[:200] + 1) % 3
    slightly = baseline.copy()
    slightly[:24] = (truth[:24] + 1) % 3
    assert floor_test(ACCURACY, truth, same, baseline, max_drop=0.01).grade == "proven"
    assert floor_test(ACCURACY, truth, worse, baseline, max_drop=0.01).grade == "failed"
    assert floor_test(ACCURACY, truth, slightly, baseline, max_drop=0.012).grade == "not_disproven"


def test_grades_of_an_error_metric_are_relative_to_it() -> None:
    rng = np.random.default_rng(0)
    mae, truth = metric.get("mae"), rng.normal(size=1000)
    baseline = truth + rng.normal(size=1000)
    nearly, worse = baseline + 0.001, truth + 1.5 * (baseline - truth)
    assert floor_test(mae, truth, nearly, baseline, max_drop=0.05).grade == "proven"
    assert floor_test(mae, truth, worse, baseline, max_drop=0.05).grade == "failed"
    assert floor_test(mae, truth, worse, floor=3.0).grade == "proven"
    assert floor_test(mae, truth, worse, floor=3.0).discordance is None


def test_a_false_proof_is_rare() -> None:
    rng = np.random.default_rng(1)
    proofs = 0
    for seed in range(60):
        truth = rng.integers(0, 2, 400)
        baseline = np.where(rng.random(400) < 0.95, truth, 1 - truth)
        # two points worse than allowed is exactly the floor: proving it is an error of 5 %
        candidate = np.where(rng.random(400) < 0.02 / 0.95, 1 - truth, baseline)
        candidate = np.where(baseline == truth, candidate, baseline)
        proofs += floor_test(ACCURACY, truth, candidate, baseline, max_drop=0.02, seed=seed).grade == "proven"
    assert proofs <= 7


def test_a_custom_metric_gets_rows_not_weights() -> None:
    seen = []

    def by_rows(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> float:
        seen.append(len(truth))
        assert (weights == 1).all()
        return float(np.mean(truth == prediction))

    mine = Metric("mine", by_rows, True, "labels", custom=True)
    truth, prediction = _labels(100, 10)
    found = estimate(mine, truth, prediction)
    assert found.low < found.value == 0.9 < found.high
    assert len(seen) < 1000


def test_what_is_given_is_left_alone() -> None:
    truth, prediction = _labels(60, 6)
    before = truth.copy(), prediction.copy()
    floor_test(ACCURACY, truth, prediction, truth, max_drop=0.1)
    assert (truth == before[0]).all()
    assert (prediction == before[1]).all()


def test_one_class_only_does_not_break_it() -> None:
    ones = np.ones(40, dtype=np.int64)
    assert estimate(ACCURACY, ones, ones).high == 1


def test_a_floor_is_one_of_two() -> None:
    truth, prediction = _labels(30, 3)
    for given in ({}, {"floor": 0.5, "max_drop": 0.1}, {"max_drop": 0.1}):
        with pytest.raises(InputError, match="give one"):
            floor_test(ACCURACY, truth, prediction, **given)
