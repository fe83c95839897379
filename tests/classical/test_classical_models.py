"""What the classical models must find in data made so that the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trimwatt import framework, metric
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Technique, apply
from trimwatt.technique.classical import Boosted, Forest, Linear, Mlp, Neighbours, Tree
from trimwatt.testing import samples
from trimwatt.workload import Data, Split, Workload


def _made(x: np.ndarray, y: np.ndarray, classes: tuple[str, ...] | None = None) -> Workload:
    split = Split(x, y)
    data = Data(split, split, split, classes=classes)
    if classes is None:
        return Workload(data, "regression", metric.get("r2"), outputs="values")
    return Workload(data, metric=metric.get("accuracy"))


def _scores(workload: Workload) -> np.ndarray:
    return framework.get("sklearn").scores(workload, workload.rows.val.x)


def test_linear_recovers_a_line() -> None:
    x = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    y = x @ [2.0, -1.0, 0.5] + 7.0
    np.testing.assert_allclose(_scores(apply(Linear(strength=1e-6), _made(x, y))), y, atol=1e-3)


def test_one_neighbour_knows_its_own_rows() -> None:
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    y = (np.arange(200) % 3).astype(np.int64)
    assert (_scores(apply(Neighbours(k=1), _made(x, y, ("a", "b", "c")))).argmax(1) == y).all()


def test_tree_learns_what_no_line_can() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, size=(2000, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    work = _made(x, y, ("no", "yes"))
    assert (_scores(apply(Tree(), work)).argmax(1) == y).mean() > 0.95
    assert (_scores(apply(Linear(), work)).argmax(1) == y).mean() < 0.65


def test_mlp_answers_in_the_targets_own_unit() -> None:
    x = np.random.default_rng(0).normal(size=(1500, 3)).astype(np.float32)
    y = 1e6 + 1e5 * np.tanh(x @ [1.0, -1.0, 0.5])
    got = _scores(apply(Mlp(hidden=(32,)), _made(x, y)))
    assert metric.get("r2")(y, got) > 0.9


@pytest.mark.parametrize("kind", [Linear(), Forest(trees=5), Boosted(rounds=5)], ids=lambda kind: kind.name)
def test_a_class_absent_from_training_gets_no_probability(kind: Technique) -> None:
    work = samples.digits(rows=400)
    train = work.rows.train
    seven = replace(work, data=replace(work.rows, train=train.take(np.flatnonzero(train.y != 7))))
    done = apply(kind, seven)
    assert done.class_columns == (0, 1, 2, 3, 4, 5, 6, 8, 9)
    assert _scores(done).shape == (len(work.rows.val), 10)
    assert (_scores(done)[:, 7] == 0).all()


def test_rows_for_the_threshold_are_not_fitted_on() -> None:
    work = samples.people(rows=400)
    done = apply(Neighbours(k=1), work)
    assert len(done.model._fit_X) == len(work.rows.holdout(work.seed)[0]) < len(work.rows.train)
    kept = apply(Neighbours(k=1, rows=50), work)
    assert len(kept.model._fit_X) == 50


def test_many_rows_bound_the_trees() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12_000, 2)).astype(np.float32)
    work = _made(x, (rng.random(12_000) < 0.5).astype(np.int64), ("no", "yes"))
    done = apply(Forest(trees=1), work)
    assert done.model.estimators_[0].get_n_leaves() == 500


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(strength=0), "strength is a penalty above 0, got 0"),
        (lambda: Forest(trees=0), "trees is the size of the forest, a whole number from 1, got 0"),
        (lambda: Tree(depth=2.5), "depth is splits from root to leaf"),  # type: ignore[arg-type]
        (lambda: Boosted(learning_rate=2), r"learning_rate is a share in \(0, 1\], got 2"),
        (lambda: Boosted(leaves=1), "leaves is a whole number from 2, got 1"),
        (lambda: Mlp(hidden=()), r"hidden is the units of each layer, like \(64,\), got \(\)"),
        (lambda: Neighbours(k=0), "k is neighbours asked"),
    ],
)
def test_a_wrong_parameter_says_what_is_allowed(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        make()


def test_what_cannot_be_fitted_is_a_reason() -> None:
    work = _made(np.ones((20, 2), np.float32), np.zeros(20, np.int64), ("no", "yes"))
    with pytest.raises(TrialFailed, match=r"LogisticRegression cannot be fitted on these rows: .*class"):
        apply(Linear(), work)
