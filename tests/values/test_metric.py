"""Metrics agree with scikit-learn's, weights included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt import metric
from trimwatt.errors import InputError

seeds = st.integers(0, 10_000)


def _case(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(60) % classes)
    scores = rng.random((60, classes)).round(1) + 0.05
    return truth, scores / scores.sum(axis=1, keepdims=True), rng.integers(1, 4, 60).astype(float)


@given(seeds)
def test_two_classes(seed: int) -> None:
    from sklearn import metrics

    truth, scores, weights = _case(seed, 2)
    label = scores.argmax(axis=1)
    assert metric.get("accuracy")(truth, label, weights) == pytest.approx(
        metrics.accuracy_score(truth, label, sample_weight=weights)
    )
    assert metric.get("f1", 0)(truth, label, weights) == pytest.approx(
        metrics.f1_score(truth, label, pos_label=0, sample_weight=weights)
    )
    assert metric.get("auc", 1)(truth, scores, weights) == pytest.approx(
        metrics.roc_auc_score(truth, scores[:, 1], sample_weight=weights)
    )


@given(seeds)
def test_many_classes(seed: int) -> None:
    from sklearn import metrics

    truth, scores, weights = _case(seed, 4)
    label = scores.argmax(axis=1)
    assert metric.get("f1")(truth, label, weights) == pytest.approx(
        metrics.f1_score(truth, label, average="macro", sample_weight=weights)
    )
    assert metric.get("auc")(truth, scores) == pytest.approx(metrics.roc_auc_score(truth, scores, multi_class="ovr"))


@given(seeds)
def test_values(seed: int) -> None:
    from sklearn import metrics

    rng = np.random.default_rng(seed)
    truth, value, w = rng.normal(size=50), rng.normal(size=50), rng.integers(1, 4, 50).astype(float)
    assert metric.get("mae")(truth, value, w) == pytest.approx(
        metrics.mean_absolute_error(truth, value, sample_weight=w)
    )
    assert metric.get("r2")(truth, value, w) == pytest.approx(metrics.r2_score(truth, value, sample_weight=w))
    assert metric.get("rmse")(truth, value, w) == pytest.approx(
        metrics.mean_squared_error(truth, value, sample_weight=w) ** 0.5
    )
    assert metric.get("mase", naive_error=2.0)(truth, value) == pytest.approx(metric.get("mae")(truth, value) / 2)


def test_a_drop_is_absolute_for_scores_and_relative_for_errors() -> None:
    assert metric.get("accuracy").floor(0.9, 0.01) == pytest.approx(0.89)
    assert metric.get("mae").floor(50.0, 0.01) == pytest.approx(50.5)
    assert metric.get("r2").floor(0.8, 0.01) == pytest.approx(0.79)
    assert metric.get("mae").meets(50.4, 50.5) and not metric.get("mae").meets(50.6, 50.5)


def test_an_unknown_metric_lists_those_known() -> None:
    with pytest.raises(InputError, match=r"accuracy, f1, auc, mae, rmse, r2, mase or package\.module:callable"):
        metric.get("acuracy")
