from __future__ import annotations

import numpy as np
import pytest

from trimwatt import metric
from trimwatt.compare.quality import Folds, estimate, floor_test, is_better, observed, resolvable_margin
from trimwatt.metric import Metric

ROWS = 400
FOLDS = Folds(np.arange(ROWS) % 5, 320)


def _by_hand(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> float:
    return float(np.mean(truth == prediction))


METRICS = [*(metric.get(n, 1, 1.0) for n in ("accuracy", "f1", "auc", "mae", "rmse", "r2", "mase"))]
METRICS += [Metric("mine", _by_hand, True, "labels", custom=True)]


def _answers(m: Metric, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth, which depends on no seed, and answers of that noise."""
    truth = np.random.default_rng(7).integers(0, 2, ROWS)
    score = np.clip(truth * 0.4 + 0.3 + noise * np.random.default_rng(seed).normal(size=ROWS), 0, 1)
    read = {"labels": (score > 0.5).astype(int), "probabilities": np.stack([1 - score, score], 1), "values": score}
    return truth, read[m.reads]


@pytest.mark.parametrize("m", METRICS, ids=lambda m: m.name)
def test_models_that_share_rows_resolve_less(m: Metric) -> None:
    truth, candidate = _answers(m, 0.3, 1)
    _, baseline = _answers(m, 0.3, 2)
    single, crossed = (resolvable_margin(m, truth, candidate, baseline, folds=f) for f in (None, FOLDS))
    # the root of 1 + 400 / 320
    assert crossed / single == pytest.approx(1.5, rel=0.2)
    plain, wide = estimate(m, truth, candidate), estimate(m, truth, candidate, folds=FOLDS)
    assert (wide.value, wide.rows) == (observed(m, truth, candidate, FOLDS), ROWS)
    assert wide.value == plain.value or m.name == "auc"
    assert (wide.high - wide.low) / (plain.high - plain.low) == pytest.approx(1.5, rel=0.2)
    assert wide.high <= 1 or not m.greater_is_better


def test_what_rows_are_worth() -> None:
    assert FOLDS.worth(400) == 178
    # judged on two folds of five: fewer rows, each worth more
    assert Folds(np.repeat([0, 1], 80), 320).worth(160) == 107
    assert FOLDS.worth(1) == 1
    with pytest.raises(ValueError, match="fitted must be an integer >= 1, got 0"):
        Folds(FOLDS.number, 0)


def test_what_is_proven_of_a_model_may_not_be_of_its_recipe() -> None:
    m = metric.get("accuracy")
    truth = np.zeros(ROWS, dtype=int)
    truth[::2] = 1
    baseline, candidate = truth.copy(), truth.copy()
    candidate[:4] = 1 - candidate[:4]
    graded = [floor_test(m, truth, candidate, baseline, max_drop=0.026, folds=f) for f in (None, FOLDS)]
    assert [g.grade for g in graded] == ["proven", "not_disproven"]
    assert [g.rows for g in graded] == [ROWS, ROWS]
    absolute = [floor_test(m, truth, candidate, floor=0.972, folds=f).grade for f in (None, FOLDS)]
    assert absolute == ["proven", "not_disproven"]
    candidate[:40] = 1 - truth[:40]
    assert floor_test(m, truth, candidate, baseline, max_drop=0.026, folds=FOLDS).grade == "failed"


@pytest.mark.parametrize("m", METRICS, ids=lambda m: m.name)
def test_only_what_is_surely_better_is_better(m: Metric) -> None:
    truth, good = _answers(m, 0.2, 1)
    _, bad = _answers(m, 0.6, 2)
    for folds in (None, FOLDS):
        assert is_better(m, truth, good, bad, folds)
        assert not is_better(m, truth, bad, good, folds)
        assert not is_better(m, truth, good, good, folds)


def test_better_by_few_rows_is_no_better() -> None:
    m = metric.get("accuracy")
    truth = np.arange(ROWS) % 2
    worse = truth.copy()
    worse[:5] = 1 - worse[:5]
    assert not is_better(m, truth, truth, worse)
    worse[:12] = 1 - truth[:12]
    assert is_better(m, truth, truth, worse)
    assert is_better(m, truth, truth, worse, seed=1)
    worse[:16] = 1 - truth[:16]
    assert is_better(m, truth, truth, worse, FOLDS)


def _pairs_won(truth: np.ndarray, score: np.ndarray, number: np.ndarray) -> float:
    """Of all pairs of a positive and a negative row of one fold, the share in the right order; a tie is half a pair."""
    gaps = [(a - score[(truth == 0) & (number == f)]) for a, t, f in zip(score, truth, number, strict=True) if t]
    return float(np.mean(np.sign(np.concatenate(gaps)) / 2 + 0.5))


def test_ranks_are_compared_within_a_fold() -> None:
    m = metric.get("auc", 1)
    truth, given = _answers(m, 0.3, 1)
    score, number = given[:, 1].round(1), FOLDS.number.copy()
    # a fold without positive rows says nothing, and takes nothing from the others
    number[truth == 1] = np.minimum(number[truth == 1], 3)
    found = observed(m, truth, np.stack([1 - score, score], 1), Folds(number, 320))
    assert found == pytest.approx(_pairs_won(truth, score, number))
    # each fold's model may have a scale of its own
    scaled = score / (1 + number)
    assert observed(m, truth, np.stack([1 - scaled, scaled], 1), Folds(number, 320)) == pytest.approx(found)
    assert observed(m, truth, np.stack([1 - scaled, scaled], 1)) < found - 0.02
    assert np.isnan(observed(m, np.zeros(ROWS, dtype=int), given, FOLDS))


def test_ranks_of_weighted_rows_are_those_of_rows_repeated() -> None:
    m = metric.get("auc")
    rng = np.random.default_rng(0)
    truth, score, number = rng.integers(0, 3, 90), rng.random((90, 3)).round(1), np.arange(90) % 3
    weights = rng.integers(0, 4, 90)
    index = np.repeat(np.arange(90), weights)
    for blocks in (None, number):
        again = m.on(truth[index], score[index], None if blocks is None else blocks[index])
        assert m.on(truth, score, blocks)(weights.astype(float)) == pytest.approx(again(np.ones(len(index))))
