"""Parameters of classical models: what each changes, and that its export answers in the unit of the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimwatt import runtime
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import onnx
from trimwatt.framework import sklearn as framework
from trimwatt.framework.logged import LogTarget
from trimwatt.recipe import to_json
from trimwatt.technique import apply, from_json
from trimwatt.technique.classical import Boosted, ExtraTrees, Forest, Linear, Mlp
from trimwatt.technique.inputs import SelectColumns
from trimwatt.testing import samples
from trimwatt.workload import Split, Workload


def _counts(scale: float = 1.0) -> Workload:
    """A target of counts whose logarithm is a sum of what the columns say, some of them 0."""
    base = samples.incomes(rows=600)
    rng = np.random.default_rng(3)

    def counted(split: Split) -> Split:
        level = np.nan_to_num(split.x["age"], nan=40.0) / 12 - 2 + (split.x["work"] == "office")
        return replace(split, y=scale * rng.poisson(np.exp(level)).astype(np.float64))

    data = base.rows
    return replace(base, data=replace(data, train=counted(data.train), val=counted(data.val), test=counted(data.test)))


@pytest.mark.parametrize(
    "step",
    [
        Boosted(20, loss="poisson"), Boosted(20, target="log"), Boosted(20, loss="absolute"), Linear(target="log"),
        Forest(5, target="log", leaf=3), ExtraTrees(5, columns=0.5), Mlp((8,), learning_rate=1e-2, target="log"),
    ],
    ids=lambda step: f"{step.name} {step.target} {getattr(step, 'loss', '')}",
)  # fmt: skip
def test_an_export_answers_in_the_unit_of_the_target(step: Any) -> None:
    made = apply(step, _counts())
    rows = made.rows.val.x
    expected = framework.scores(made, rows)
    got = onnx.run.scores(onnx.lower(made), rows)
    assert np.allclose(expected, got, rtol=1e-4, atol=1e-3)
    assert float(np.corrcoef(expected, made.rows.val.y)[0, 1]) > 0.4
    assert made.rows.val.y.mean() == pytest.approx(float(expected.mean()), rel=0.5)


def test_the_logarithm_does_not_depend_on_the_unit() -> None:
    one, other = (framework.scores(apply(Linear(target="log"), w), w.rows.val.x) for w in (_counts(), _counts(1e-6)))
    assert np.allclose(1e-6 * one, other, rtol=1e-5)


def test_a_logarithm_never_answers_below_zero_nor_far_beyond_what_was_seen() -> None:
    from sklearn.linear_model import Ridge

    x = np.linspace(0, 1, 50)[:, None]
    model = LogTarget(Ridge(1e-6)).fit(x, np.exp(5 * x[:, 0]) - 1)
    far = model.predict(np.array([[-100.0], [100.0]]))
    assert far[0] == 0 and np.exp(5) < far[1] < 11 * np.exp(5)


def test_what_cannot_be_learnt_below_zero_is_said() -> None:
    for step, what in ((Boosted(5, loss="poisson"), "loss='poisson'"), (Linear(target="log"), "target='log'")):
        base = _counts()
        below = replace(base.rows.train, y=base.rows.train.y - 5)
        with pytest.raises(TrialFailed, match=f"{what} needs targets >= 0"):
            apply(step, replace(base, data=replace(base.rows, train=below)))


def test_fewer_columns_keep_the_logarithm() -> None:
    less = apply(SelectColumns(0.5), apply(Boosted(20, target="log"), _counts()))
    assert isinstance(less.model, LogTarget) and len(less.prepare.places) == 2  # type: ignore[union-attr]
    assert np.allclose(
        framework.scores(less, less.rows.val.x), onnx.run.scores(onnx.lower(less), less.rows.val.x), 1e-4
    )


def _numbers(split: Split) -> Split:
    return replace(split, x={name: split.x[name] for name in ("age", "hours per week")})


def _array(split: Split) -> Split:
    return replace(split, x=np.stack([split.x["age"], split.x["hours per week"]], axis=1))


@pytest.mark.parametrize("form", [None, _numbers, _array], ids=["numbers and text", "numbers", "one array"])
def test_missing_numbers_go_the_way_that_the_trees_have_learnt(form: Any, tmp_path: Path) -> None:
    base = samples.people(rows=600)
    data = base.rows
    if form is not None:
        base = replace(base, data=replace(data, train=form(data.train), val=form(data.val), test=form(data.test)))
    gone = np.isnan(data.train.x["age"])
    # those missing are like the youngest, so that some are sent left and some right
    telling = replace(base.rows.train, y=(gone | (data.train.x["age"] < 30)).astype(np.int64))
    base = replace(base, data=replace(base.rows, train=telling), metric=replace(samples.digits().quality))
    own, rows = apply(Boosted(20, leaf=5, missing="own"), base), base.rows.val.x
    assert np.isnan(own.prepare.transform(rows)).any()  # type: ignore[union-attr]
    expected = framework.scores(own, rows)
    artifact = runtime.get("onnxruntime").export(onnx.lower(own), tmp_path)
    got = runtime.get("onnxruntime").open(artifact, base.scenario).scores(rows)
    assert np.allclose(expected, got, atol=1e-5)
    missing = np.isnan(data.val.x["age"])
    assert missing.any() and expected[missing].argmax(axis=1).all()


def test_missing_numbers_that_no_training_row_had_are_answered_the_same() -> None:
    base = samples.people(rows=600)
    whole = {name: np.nan_to_num(c, nan=40.0) if c.dtype.kind == "f" else c for name, c in base.rows.train.x.items()}
    base = replace(base, data=replace(base.rows, train=replace(base.rows.train, x=whole)))
    own, rows = apply(Boosted(20, missing="own"), base), base.rows.val.x
    assert np.isnan(rows["age"]).any()
    assert np.allclose(framework.scores(own, rows), onnx.run.scores(onnx.lower(own), rows), atol=1e-5)


def test_balanced_classes_are_found_more_often() -> None:
    base = replace(samples.people(rows=600), metric=None)
    base = replace(base, metric=replace(samples.digits().quality))
    for step in (Boosted(20), Forest(10, leaf=5), ExtraTrees(10, leaf=5), Linear()):
        plain, balanced = (apply(s, base) for s in (step, replace(step, class_weight="balanced")))
        found = [framework.scores(made, base.rows.val.x).argmax(axis=1).mean() for made in (plain, balanced)]
        assert found[1] > found[0], step.name


def test_all_rounds_are_fitted_where_it_does_not_stop_early() -> None:
    from trimwatt.technique.classical.boosted import boosted_estimator

    made = apply(Boosted(12, early_stopping=False), samples.people(rows=300))
    assert made.model.n_iter_ == 12 and made.model.do_early_stopping_ is False
    assert boosted_estimator(Boosted(), made).early_stopping == "auto"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Boosted(columns=0), r"columns is a share in \(0, 1\], got 0"),
        (lambda: Boosted(l2=-1), "l2 must be a number >= 0, got -1"),
        (lambda: Boosted(leaf=0), "leaf is rows in a leaf, a whole number from 1, got 0"),
        (lambda: Boosted(loss="huber"), "loss is squared, absolute, poisson, got 'huber'"),
        (lambda: Linear(target="sqrt"), "target is as_is, log, got 'sqrt'"),
        (lambda: Forest(class_weight="rare"), "class_weight is None, balanced, got 'rare'"),
        (lambda: ExtraTrees(columns=2), r"columns is a share in \(0, 1\], got 2"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_recipes_keep_every_parameter() -> None:
    recipe = (Boosted(240, 15, 0.05, 5, 1.0, 0.5, "poisson", "as_is", None, "own", False), ExtraTrees(50, columns=0.5))
    assert from_json(to_json(recipe)) == recipe
