"""Several labels a row: what they are, how they are judged, and that every way of deploying them answers the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from trimwatt import framework, runtime, tasks
from trimwatt.compare import quality
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.each import Each
from trimwatt.input import load
from trimwatt.runtime.verify import verify
from trimwatt.scenario import Scenario
from trimwatt.study import setup
from trimwatt.tasks import _label_metrics
from trimwatt.technique import apply, registry
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Array, Workload

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 5)).astype(np.float32)
Y = np.stack([X[:, 0] > 0, X[:, 1] + X[:, 2] > 1, X[:, 3] > 0.3], axis=1).astype(np.int64)
TASK = tasks.get("multilabel")


def _work(x: Any = X, y: Any = Y, **options: Any) -> Workload:
    data, name = load((x, y), **options)
    assert name == "multilabel"
    return setup.workload(None, data, metric_name=None, positive=None, scenario=Scenario(), seed=0, train=False)


def _table(**columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame(X, columns=list("abcde"))
    return frame.assign(news=Y[:, 0], sport=Y[:, 1], art=Y[:, 2]).assign(**columns)


def test_several_columns_are_labels_by_name(tmp_path: Path) -> None:
    _table().to_csv(tmp_path / "t.csv", index=False)
    for source in (_table(), _table(news=Y[:, 0] == 1), tmp_path / "t.csv"):
        data, name = load(source, target="news, sport,art")
        assert name == "multilabel" and data.classes == ("news", "sport", "art")
        assert isinstance(data.train.x, dict) and list(data.train.x) == list("abcde")
        assert data.train.y.shape[1] == 3 and data.train.y.dtype == np.int64


def test_one_column_whose_name_has_a_comma_is_one_target() -> None:
    data, name = load(_table(**{"news,sport": Y[:, 0]}), target="news,sport")
    assert name == "classification" and data.classes == (0, 1)


def test_one_hot_rows_are_one_class_unless_labels_are_asked() -> None:
    hot = np.eye(3, dtype=np.int64)[np.arange(400) % 3]
    assert load((X, hot))[1] == "classification"
    data, name = load((X, hot), task="multilabel")
    assert name == "multilabel" and data.classes == (0, 1, 2)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(r=hot[:, 0], g=hot[:, 1], b=hot[:, 2])
    data, name = load(frame, target="r,g,b")
    assert name == "multilabel" and any("--task classification predicts which one" in note for note in data.warnings)
    assert load(frame, target="r,g,b", task="classification")[1] == "classification"


def test_labels_beside_named_columns_keep_their_names() -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    assert load((frame, Y))[0].classes == ("label 0", "label 1", "label 2")
    data, _ = load((frame, pd.DataFrame(Y, columns=["news", "art", "a"])))
    assert data.classes == ("news", "art", "a_")
    assert isinstance(data.train.x, dict) and list(data.train.x) == list("abcde")
    with pytest.raises(InputError, match=r"y has shape \(100, 2\), in another split it has 3 columns"):
        load(((frame[:300], Y[:300]), (frame[300:], Y[300:, :2])))


@pytest.mark.parametrize(
    ("y", "options", "said"),
    [
        (np.c_[Y, np.ones(400)], {}, r"labels that every row has, or none, teach nothing: 3 \(all rows\); leave them"),
        (np.c_[np.zeros(400), Y], {}, r"teach nothing: 0 \(no rows\)"),
        (2 * Y, {"task": "multilabel"}, "must hold 0 or 1 for each label"),
        (Y[:, 0], {"task": "multilabel"}, "is one column; multilabel needs a column of 0 and 1 for each label"),
        (Y, {"task": "classification"}, r"has shape \(400, 3\); one value a row"),
        (Y, {"task": "regression"}, r"has shape \(400, 3\); one value a row"),
        (2.5 * Y, {}, r"has shape \(400, 3\); one value a row"),
        (np.where(np.arange(1200).reshape(400, 3) == 5, np.nan, Y), {}, r"missing in 1 of 400 rows \(first: row 2\)"),
    ],
)  # fmt: skip
def test_what_are_no_labels_is_refused_in_one_line(y: Array, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load((X, y), **options)
    assert "\n" not in str(caught.value)


def test_rare_labels_stand_in_every_split() -> None:
    rare = np.c_[Y, np.arange(400) % 40 == 0].astype(np.int64)
    data, _ = load((X, rare))
    assert all(split.y[:, 3].any() for split in (data.train, data.val, data.test))
    assert len(data.train) + len(data.val) + len(data.test) == 400
    codes = TASK.strata(rare)
    assert codes is not None and np.array_equal(np.unique(codes), np.arange(codes.max() + 1))


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, given = (rng.integers(0, 2, (60, 4)) for _ in range(2))
    weights = rng.integers(0, 4, 60).astype(float)
    many = {"sample_weight": weights, "zero_division": 0}
    wanted = {
        "f1-macro": metrics.f1_score(truth, given, average="macro", **many),
        "f1-micro": metrics.f1_score(truth, given, average="micro", **many),
        "f1": metrics.f1_score(truth[:, 2], given[:, 2], **many),
        "hamming": metrics.hamming_loss(truth, given, sample_weight=weights),
        "exact": metrics.accuracy_score(truth, given, sample_weight=weights),
    }
    for name, value in wanted.items():
        metric = _label_metrics.get(name, 2)
        assert metric(truth, given, weights) == pytest.approx(value)
        assert metric.on(truth, given)(weights) == pytest.approx(value)
    assert set(wanted) == set(TASK.metrics)


def test_the_label_of_f1_is_named_or_the_rarest() -> None:
    y = (RNG.random((100, 3)) < [0.5, 0.1, 0.9]).astype(np.int64)
    assert TASK.positive(y, ("a", "b", "c"), None) == 1 and TASK.positive(y, ("a", "b", "c"), "c") == 2
    with pytest.raises(InputError, match="positive label 'd' is not in the target; its labels are a, b, c"):
        TASK.positive(y, ("a", "b", "c"), "d")


def test_intervals_and_floors_are_of_whole_rows() -> None:
    metric = _label_metrics.get("f1-macro")
    truth = (RNG.random((300, 4)) < 0.4).astype(np.int64)
    worse = np.where(RNG.random(truth.shape) < 0.2, 1 - truth, truth)
    found = quality.estimate(metric, truth, worse)
    assert found.low < found.value < found.high and found.rows == 300
    # no error among the rows is no proof that there is none
    perfect = quality.estimate(metric, truth, truth)
    assert perfect.value == 1 and perfect.low < 1
    assert quality.floor_test(metric, truth, truth, worse, max_drop=0.01).grade == "proven"
    graded = quality.floor_test(metric, truth, worse, truth, max_drop=0.01)
    assert graded.grade == "failed" and graded.discordance == np.mean((worse != truth).any(axis=1))


@pytest.mark.parametrize("name", ["linear", "boosted", "forest", "mlp", "neighbours"])
def test_every_way_of_deploying_a_model_answers_the_same(name: str, tmp_path: Path) -> None:
    work = _work()
    fitted = apply(registry()[name](), work)
    wanted = framework.labels(fitted, work.rows.val.x)
    assert wanted.shape == work.rows.val.y.shape
    assert work.quality(work.rows.val.y, wanted) > 0.6
    for kind in ("sklearn", "onnxruntime"):
        folder = tmp_path / kind
        folder.mkdir()
        deployed = runtime.get(kind)
        artifact = deployed.export(fitted, folder)
        for one in (artifact, replace(artifact, live=None)):
            session = deployed.open(one, work.scenario)
            assert verify(fitted, session, work.rows.val.x) is None
            got = session.predict(work.rows.val.x)
            # a forest may be undecided, and a sum in single precision fall either way
            assert np.mean(got != wanted) < 0.02


def test_an_export_that_decides_one_label_otherwise_is_refused() -> None:
    work = _work()
    fitted = apply(registry()["linear"](), work)
    rows = work.rows.val.x
    scores = framework.get("sklearn").scores(fitted, rows)

    class Wrong:
        def scores(self, rows: Any) -> Array:
            return scores[: len(rows)]

        def predict(self, rows: Any) -> Array:
            labels = fitted.decide.labels(scores[: len(rows)])  # type: ignore[union-attr]
            labels[:, 1] = 1 - labels[:, 1]
            return np.asarray(labels)

    assert "labels do not follow from its probabilities" in (verify(fitted, Wrong(), rows) or "")


def test_a_label_that_all_training_rows_have_is_answered_by_that() -> None:
    y = Y.copy()
    y[:, 1] = 1
    each = Each(LogisticRegression()).fit(X, y)
    assert (each.predict(X)[:, 1] == 1).all() and (each.predict(X)[:, 0] != each.predict(X)[:, 2]).any()
    base = _work()
    rows = replace(base.rows.train, y=np.where(np.arange(3) == 1, 1, base.rows.train.y))
    data = replace(base.rows, train=rows)
    fitted = apply(registry()["linear"](), replace(base, data=data))
    lowered = framework.onnx.lower(fitted)  # type: ignore[attr-defined]
    got = framework.get("onnx").scores(lowered, data.val.x)
    np.testing.assert_allclose(got, framework.get("sklearn").scores(fitted, data.val.x), atol=1e-5)
    assert (got[:, 1] == 1).all()


def test_what_does_not_know_several_labels_says_so() -> None:
    work = apply(registry()["linear"](), _work())
    for name in ("distill-tree", "threshold"):
        with pytest.raises(TrialFailed, match=r"labels|two classes"):
            apply(registry()[name](), work)
    with pytest.raises(InputError, match="a model for multilabel cannot be given in this version"):
        setup.workload(
            LogisticRegression(), work.rows, metric_name=None, positive=None, scenario=Scenario(), seed=0, train=False
        )


def test_labels_that_are_never_recognised_are_named() -> None:
    truth = np.array([[1, 0], [1, 1], [0, 1], [0, 1]])
    (said,) = TASK.find_unlearned(truth, np.array([[1, 0]] * 4), ("a", "b"))
    assert "recognises no row of b (0 of 3 rows)" in said
    assert TASK.find_unlearned(truth, truth, ("a", "b")) == []


def test_a_network_has_one_output_for_each_label(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    work = _work()
    fitted = apply(registry()["train"](epochs=20), apply(registry()["mlp-torch"](), work))
    assert work.quality(work.rows.val.y, framework.labels(fitted, work.rows.val.x)) > 0.6
    for kind in ("torch", "onnxruntime"):
        folder = tmp_path / kind
        folder.mkdir()
        deployed = runtime.get(kind)
        artifact = deployed.export(fitted if kind == "torch" else framework.onnx.lower(fitted), folder)  # type: ignore[attr-defined]
        for one in (artifact, replace(artifact, live=None)):
            assert verify(fitted, deployed.open(one, work.scenario), work.rows.val.x) is None


@pytest.mark.slow
def test_a_study_of_labels_runs_from_a_table_to_a_file_of_predictions(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from trimwatt.commands import app

    _table().to_csv(tmp_path / "t.csv", index=False)
    _table().drop(columns=["news", "sport", "art"])[:7].to_csv(tmp_path / "new.csv", index=False)
    run, out = CliRunner(), str(tmp_path / "study")
    less = ["--techniques", "runtime", "--budget", "2trials", "--baseline", "linear", "-o", out]
    done = run.invoke(app, ["optimize", str(tmp_path / "t.csv"), "--target", "news,sport,art", *less])
    assert done.exit_code == 0, done.output
    done = run.invoke(app, ["predict", out, str(tmp_path / "new.csv")])
    assert done.exit_code == 0, done.output
    header, *rows = done.output.strip().splitlines()
    names = ("news", "sport", "art")
    assert header.split(",") == [f"{what}:{name}" for what in ("prediction", "probability") for name in names]
    assert len(rows) == 7 and all(cell in "01" for row in rows for cell in row.split(",")[:3])


class TestLinearOfLabels(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Any:
        return registry()["linear"]()

    @pytest.fixture
    def workload(self) -> Workload:
        return _work()
