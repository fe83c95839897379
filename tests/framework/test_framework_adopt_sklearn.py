"""Taking in scikit-learn estimators that users bring."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from trimwatt.errors import InputError
from trimwatt.framework import onnx, sklearn
from trimwatt.framework.rows import as_request, from_request, to_frame
from trimwatt.testing import samples
from trimwatt.workload import Workload


def _labelled(classes: tuple[Any, ...]) -> tuple[Workload, np.ndarray]:
    work = samples.digits(rows=300)
    keep = {name: getattr(work.rows, name) for name in ("train", "val", "test")}
    few = {name: part.take(np.flatnonzero(part.y < len(classes))) for name, part in keep.items()}
    data = replace(work.rows, classes=classes, **few)
    return replace(work, data=data), np.asarray(classes)[data.train.y]


def _quick() -> LogisticRegression:
    return LogisticRegression(max_iter=9999, tol=1)


def _accuracy(work: Workload) -> float:
    rows = work.rows.val
    return float((sklearn.scores(work, rows.x).argmax(1) == rows.y).mean())


@pytest.mark.parametrize("classes", [("a", "b", "c"), (1, 2, 3), (10, 20, 30)])
@pytest.mark.parametrize("on", ["labels", "codes", "nothing"])
def test_it_is_fitted_on_labels_on_codes_or_not_at_all(classes: tuple[Any, ...], on: str) -> None:
    work, labels = _labelled(classes)
    model = LogisticRegression(max_iter=200)
    if on != "nothing":
        model.fit(work.rows.train.x, labels if on == "labels" else work.rows.train.y)
    adopted = sklearn.adopt(replace(work, model=model))
    assert adopted.form == "sklearn" and adopted.outputs == "probabilities"
    assert _accuracy(adopted) > 0.9
    assert hasattr(model, "classes_") == (on != "nothing")
    codes = [note for note in adopted.rows.warnings if "these were taken as the numbers of the data's" in note]
    assert len(codes) == (on == "codes")


@pytest.mark.parametrize(
    ("data_knows", "model_knows"), [((1, 2, 3), (0, 1, 2)), ((0, 1, 5), (0, 1, 2)), ((1, 2), (0, 1))]
)
def test_whole_number_labels_that_overlap_are_the_same_classes(data_knows: Any, model_knows: Any) -> None:
    digits = samples.digits(rows=900).rows
    named = {name: getattr(digits, name) for name in ("train", "val", "test")}
    seen = np.isin(digits.train.y, model_knows)
    model = LogisticRegression(max_iter=200).fit(digits.train.x[seen], digits.train.y[seen])
    kept = {name: part.take(np.flatnonzero(np.isin(part.y, data_knows))) for name, part in named.items()}
    parts = {name: replace(part, y=np.searchsorted(data_knows, part.y)) for name, part in kept.items()}
    base = samples.digits(rows=900)
    work = replace(base, data=replace(digits, classes=data_knows, **parts), decide=None, model=model)
    adopted = sklearn.adopt(work)
    x = adopted.rows.val.x
    assert sklearn.labels(adopted, x).tolist() == model.predict(x).tolist()
    assert any("labels of both were taken as the same class" in note for note in adopted.rows.warnings)
    assert any("the model has no output for" in note for note in adopted.rows.warnings)


def test_a_class_that_the_model_never_saw_gets_no_probability() -> None:
    work, labels = _labelled(("a", "b", "c", "d"))
    seen = labels != "b"
    model = LogisticRegression(max_iter=200).fit(work.rows.train.x[seen], labels[seen])
    adopted = sklearn.adopt(replace(work, model=model))
    assert adopted.class_columns == (0, 2, 3)
    assert (sklearn.scores(adopted, work.rows.val.x)[:, 1] == 0).all()


def test_a_pipeline_gets_its_columns_by_name() -> None:
    work = samples.people()
    steps = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["town", "work"]))
    adopted = sklearn.adopt(replace(work, model=make_pipeline(steps, LogisticRegression())))
    assert adopted.prepare is None and adopted.decide == work.decide
    assert "nan" in [str(c) for c in adopted.model[0].transformers_[0][1].categories_[1]]
    assert sklearn.scores(adopted, work.rows.val.x).shape == (len(work.rows.val), 2)


def test_a_model_of_some_columns_gets_those_in_its_order() -> None:
    work = samples.incomes()
    x = {name: np.nan_to_num(work.rows.train.x[name]) for name in ("age", "hours per week")}  # type: ignore[index]
    data = replace(work.rows, **{part: replace(getattr(work.rows, part), x=x) for part in ("train", "val")})
    work = replace(work, data=replace(data, val=data.train))
    model = LinearRegression().fit(to_frame({"hours per week": x["hours per week"]}), work.rows.train.y)
    adopted = sklearn.adopt(replace(work, model=model))
    expected = model.coef_[0] * x["hours per week"] + model.intercept_
    np.testing.assert_allclose(sklearn.scores(adopted, x), expected, rtol=1e-6)
    lowered = onnx.lower(adopted)
    np.testing.assert_allclose(onnx.scores(lowered, x), expected, rtol=1e-5)
    stranger = LinearRegression().fit(to_frame({"height": x["age"]}), work.rows.train.y)
    with pytest.raises(InputError, match="fitted on a column 'height', the data have age, hours per week"):
        sklearn.adopt(replace(work, model=stranger))


def test_a_model_fitted_on_an_array_gets_one() -> None:
    work = samples.digits(rows=300)
    parts = {n: getattr(work.rows, n) for n in ("train", "val", "test")}
    named = {n: replace(p, x={f"p{i}": p.x[:, i].astype(np.float32) for i in range(64)}) for n, p in parts.items()}
    model = LogisticRegression(max_iter=500).fit(work.rows.train.x, work.rows.train.y)
    adopted = sklearn.adopt(replace(work, data=replace(work.rows, **named), model=model))
    assert adopted.prepare is not None
    expected = model.predict_proba(work.rows.val.x)
    np.testing.assert_allclose(sklearn.scores(adopted, named["val"].x), expected, atol=1e-6)
    np.testing.assert_allclose(onnx.scores(onnx.lower(adopted), named["val"].x), expected, atol=1e-5)


def test_fitting_leaves_rows_for_the_threshold() -> None:
    work = samples.people()
    assert len(work.fit_rows) < len(work.rows.train)
    assert len(replace(work, threshold=0.3).fit_rows) == len(work.rows.train)
    assert len(samples.digits().fit_rows) == len(samples.digits().rows.train)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda w, y: LinearRegression().fit(w.rows.train.x, w.rows.train.y), "the task is classification, and Lin"),
        (
            lambda w, y: _quick().fit(w.rows.train.x, np.char.add(y, "!")),
            r"knows classes 'a!', 'b!', 'c!', the data have 'a', 'b', 'c'",
        ),
        (
            lambda w, y: _quick().fit(w.rows.train.x[:, :9], y),
            "cannot take the rows as they are stored: X has 64 features",
        ),
    ],
)
def test_what_does_not_fit_says_why(make: Any, message: str) -> None:
    work, labels = _labelled(("a", "b", "c"))
    with pytest.raises(InputError, match=message):
        sklearn.adopt(replace(work, model=make(work, labels)))


def test_labels_without_scores_become_probabilities_of_0_and_1() -> None:
    from sklearn.ensemble import VotingClassifier
    from sklearn.linear_model import Perceptron
    from sklearn.naive_bayes import GaussianNB
    from sklearn.svm import SVC

    work, labels = _labelled(("a", "b", "c"))
    assert sklearn.adopt(replace(work, model=Perceptron())).outputs == "logits"
    assert sklearn.adopt(replace(work, model=SVC())).outputs == "logits"
    model = VotingClassifier([("linear", _quick()), ("bayes", GaussianNB(var_smoothing=0.1))]).fit(
        work.rows.train.x, labels
    )
    adopted = sklearn.adopt(replace(work, model=model))
    scores = sklearn.scores(adopted, work.rows.val.x)
    assert set(scores.ravel().tolist()) == {0.0, 1.0} and (scores.sum(axis=1) == 1).all()
    assert np.asarray(("a", "b", "c"))[scores.argmax(1)].tolist() == model.predict(work.rows.val.x).tolist()


def test_a_frame_holds_the_columns_and_comes_back() -> None:
    x = samples.people().rows.val.x
    assert isinstance(x, dict)
    frame = to_frame(x)
    assert list(frame) == list(x)
    assert frame["work"].isna().sum() == (x["work"] == "").sum() > 0
    back = from_request(frame, frozenset({"work", "town"}))
    assert isinstance(back, dict)
    for name, column in x.items():
        np.testing.assert_array_equal(back[name], column)
        assert back[name].dtype == column.dtype
    assert as_request(x, "dict") is x
    with pytest.raises(InputError, match="a DataFrame needs named columns"):
        as_request(np.zeros((2, 2)), "frame")


def test_frames_as_pandas_reads_them_become_rows() -> None:
    import io

    import pandas as pd

    frame = pd.read_csv(io.StringIO('n,t\n1,a\n,"b, c"\n3,\n'))
    back = from_request(frame, frozenset({"t"}))
    assert isinstance(back, dict)
    np.testing.assert_array_equal(back["n"], np.array([1, np.nan, 3], np.float32))
    assert back["t"].tolist() == ["a", "b, c", ""] and back["t"].dtype == object


@pytest.mark.parametrize("rows", [3, 300])
def test_what_pandas_calls_missing_is_missing(rows: int) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "n": pd.array([1, None, 3] * (rows // 3), dtype="Int64"),
            "b": [True, False, True] * (rows // 3),
            "t": np.array(["a", None, 7] * (rows // 3), dtype=object),
            "c": pd.Categorical(["x", None, "y"] * (rows // 3)),
        }
    )
    back = from_request(frame, frozenset({"t", "c"}))
    assert isinstance(back, dict)
    np.testing.assert_array_equal(back["n"][:3], np.array([1, np.nan, 3], np.float32))
    assert back["b"][:3].tolist() == [1, 0, 1] and back["b"].dtype == np.float32
    assert back["t"][:3].tolist() == ["a", "", "7"] and back["t"].dtype == object
    assert back["c"][:3].tolist() == ["x", "", "y"]
