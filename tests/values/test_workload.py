"""Rows, splits, decisions and probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from trimwatt.workload import Data, Decide, Split, Workload, count, take


def _data(n: int = 100, rare: int = 10) -> Data:
    codes = np.r_[np.zeros(n - rare, dtype=np.int64), np.ones(rare, dtype=np.int64)]
    split = Split(np.arange(n * 2.0).reshape(n, 2), codes)
    return Data(split, split, split, classes=("no", "yes"))


@given(st.integers(20, 300), st.integers(2, 10), st.integers(0, 50))
def test_the_holdout_is_a_partition_that_keeps_every_class(n: int, rare: int, seed: int) -> None:
    data = _data(n, rare)
    fit, held = data.holdout(seed, share=0.5)
    assert len(fit) + len(held) == n
    together = np.concatenate([np.asarray(fit.x), np.asarray(held.x)])
    assert np.array_equal(np.sort(together[:, 0]), np.asarray(data.train.x)[:, 0])
    assert set(fit.y) == set(held.y) == {0, 1}


def test_the_holdout_depends_on_the_seed_alone() -> None:
    data = _data()
    assert np.array_equal(data.holdout(3)[1].x, data.holdout(3)[1].x)
    assert not np.array_equal(data.holdout(3)[1].x, data.holdout(4)[1].x)


def test_named_columns_are_taken_row_by_row() -> None:
    rows = {"a": np.arange(5), "b": np.array(list("vwxyz"), dtype=object)}
    assert count(rows) == 5
    few = take(rows, np.array([3, 1]))
    assert isinstance(few, dict) and list(few["b"]) == ["y", "w"]


def test_the_most_probable_class_unless_a_threshold_says_otherwise() -> None:
    scores = np.array([[0.7, 0.3], [0.55, 0.45], [0.2, 0.8]])
    assert list(Decide(("no", "yes")).labels(scores)) == ["no", "no", "yes"]
    assert list(Decide(("no", "yes"), 0.4, 1).labels(scores)) == ["no", "yes", "yes"]
    assert list(Decide(("no", "yes"), 0.6, 0).codes(scores)) == [0, 1, 1]


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=20))
def test_one_logit_is_the_second_of_two_classes(logits: list[float]) -> None:
    raw = np.array(logits, dtype=np.float32)[:, None]
    got = Workload(data=_data(), outputs="logits").probabilities(raw)
    assert got[:, 1] == pytest.approx(expit(raw[:, 0]), abs=1e-6)
    assert got.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_logits_become_probabilities_in_the_order_of_the_classes() -> None:
    raw = np.array([[1.0, 2.0]], dtype=np.float32)
    plain = Workload(data=_data(), outputs="logits").probabilities(raw)
    assert plain == pytest.approx(softmax(raw, axis=1), abs=1e-6)
    turned = Workload(data=_data(), outputs="logits", class_columns=(1, 0)).probabilities(raw)
    assert turned == pytest.approx(plain[:, ::-1])


def test_a_class_the_model_never_saw_has_probability_zero() -> None:
    data = _data()
    data = Data(data.train, data.val, data.test, classes=("a", "b", "c"))
    raw = np.array([[0.25, 0.75]], dtype=np.float32)
    got = Workload(data=data, outputs="probabilities", class_columns=(0, 2)).probabilities(raw)
    assert got.tolist() == [[0.25, 0.0, 0.75]]
