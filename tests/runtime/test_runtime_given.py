"""A given scikit-learn model on the user's own columns: exact in scikit-learn, exact or refused by name in ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from trimwatt import metric, runtime, technique
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import sklearn
from trimwatt.framework.rows import as_request
from trimwatt.input import describe, load, rows_for_prediction
from trimwatt.runtime import deployed, verify
from trimwatt.scenario import Scenario
from trimwatt.workload import Decide, Workload, take

ROWS = 240
RNG = np.random.default_rng(0)
GOOD = RNG.random(ROWS) < 0.4
SIZE = RNG.normal(size=ROWS)
Y = pd.Series(np.where(GOOD ^ (RNG.random(ROWS) < 0.05), "up", "down"))


def _encoded(frame: pd.DataFrame) -> Any:
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["code"]), remainder="passthrough")
    return make_pipeline(columns, LogisticRegression()).fit(frame, Y)


def _adopted(model: Any, frame: pd.DataFrame, y: Any) -> Workload:
    data, task = load((frame, y), as_stored=True)
    classify = task == "classification"
    work = Workload(
        data, task, metric.get("accuracy" if classify else "r2"), model, "sklearn", scenario=Scenario(request="dict"),
        decide=Decide(data.classes) if data.classes else None, outputs="logits" if classify else "values",
    )  # fmt: skip
    return sklearn.adopt(work)


def _deployed(work: Workload, name: str, folder: Path) -> deployed.Deployed:
    artifact = runtime.get(name).export(work, folder)
    about = describe(work.rows, artifact.columns)
    deployed.write(folder / "out", artifact, task=work.task.name, metric="", classes=work.rows.classes, input=about,
                   recipe=[], figures={}, scenario=work.scenario)  # fmt: skip
    return deployed.load(folder / "out")


CODES = {
    "digits": np.where(GOOD, "101", "205"), "truth": np.where(GOOD, "True", "False"), "%": np.where(GOOD, "1%", "2%"),
    "empty": np.where(GOOD, "", "full"), "space": np.where(GOOD, " up", "up"), "NA": np.where(GOOD, "NA", "EU"),
    "ids": np.where(GOOD, 20_240_001, 20_240_002), "unsigned": np.where(GOOD, 3, 5).astype(np.uint8),
    "category": pd.Categorical(np.where(GOOD, "a", "b"), categories=["b", "a", "c"]),
    "nullable": pd.array(np.where(GOOD, 7, 8), dtype="Int64"), "boolean": pd.array(GOOD, dtype="boolean"),
    "string": pd.array(np.where(GOOD, " x", "x"), dtype="string"),
}  # fmt: skip


@pytest.mark.parametrize("name", CODES)
def test_codes_of_every_type_reach_an_encoder(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"code": CODES[name], "size": SIZE})
    model = _encoded(frame)
    work = _adopted(model, frame, Y)
    own = work.rows.original("val", slice(None))  # type: ignore[misc]
    wanted = model.predict(own)
    assert (wanted == np.asarray(work.rows.classes)[work.rows.val.y]).mean() > 0.85
    for kind in ("sklearn", "onnxruntime"):
        (folder := tmp_path / kind).mkdir()
        session = runtime.get(kind).open(runtime.get(kind).export(work, folder), work.scenario)
        assert verify.verify(work, session, work.rows.val.x) is None
        assert session.predict(work.rows.val.x).tolist() == wanted.tolist()
        assert session.predict(as_request(work.rows.val.x, "frame")).tolist() == wanted.tolist()
        delivered = _deployed(work, kind, tmp_path / kind)
        assert delivered.predict(own).tolist() == wanted.tolist()
        columns = {label: own[label].tolist() for label in own}
        assert delivered.predict(columns).tolist() == wanted.tolist()
    rows = rows_for_prediction(own, describe(work.rows))
    assert delivered.predict(rows).tolist() == wanted.tolist()


def test_candidates_made_here_read_the_stored_columns_themselves(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "code": np.where(GOOD, " $1,234", "$2,345"), "when": pd.date_range("2024-01-01", periods=ROWS, freq="7h"),
            "size": pd.array(np.where(SIZE > 1, None, SIZE), dtype="Float64"), "word": np.where(GOOD, "NA", " up"),
        }
    )  # fmt: skip
    encoder = make_column_transformer((OneHotEncoder(), ["code", "word"]))
    work = _adopted(make_pipeline(encoder, LogisticRegression()).fit(frame, Y), frame, Y)
    plain, _ = load((frame, Y))
    for name in ("linear", "boosted"):
        alone = technique.apply(technique.registry()[name](), Workload(plain, metric=metric.get("accuracy")))
        made = technique.apply(technique.registry()[name](), work)
        wanted = sklearn.scores(alone, plain.val.x)
        np.testing.assert_allclose(sklearn.scores(made, work.rows.val.x), wanted, atol=1e-6)
        for kind in ("sklearn", "onnxruntime"):
            (folder := tmp_path / f"{name} {kind}").mkdir()
            session = runtime.get(kind).open(runtime.get(kind).export(made, folder), work.scenario)
            np.testing.assert_allclose(session.scores(work.rows.val.x), wanted, atol=1e-5)
            one = take(work.rows.val.x, slice(3, 4))
            for request in (one, as_request(one, "frame")):
                np.testing.assert_allclose(session.scores(request), wanted[3:4], atol=1e-5)
            own = work.rows.original("val", slice(None))  # type: ignore[misc]
            np.testing.assert_allclose(_deployed(made, kind, folder).probabilities(own), wanted, atol=1e-5)


def _minute(frame: pd.DataFrame) -> np.ndarray:
    return np.c_[(frame["ts"].to_numpy() // 60) % 2]


def _hour(frame: pd.DataFrame) -> np.ndarray:
    return np.c_[frame["when"].dt.hour]


def _amount(frame: pd.DataFrame) -> np.ndarray:
    return np.c_[frame["price"].str.replace("[$,]", "", regex=True).astype(float)]


def test_functions_of_dates_money_and_seconds_get_what_they_were_fitted_on(tmp_path: Path) -> None:
    ts = 1_700_000_000 + RNG.integers(0, 3600, ROWS)
    frames = {
        _minute: (pd.DataFrame({"ts": ts}), (ts // 60) % 2),
        _hour: (when := pd.DataFrame({"when": pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="Asia/Tokyo")}),
                when["when"].dt.hour.to_numpy() > 11),
        _amount: (pd.DataFrame({"price": [f"${v:,}" for v in range(1000, 1000 + ROWS)]}), np.arange(ROWS) > 99),
    }  # fmt: skip
    for function, (frame, y) in frames.items():
        model = make_pipeline(FunctionTransformer(function), DecisionTreeClassifier(random_state=0)).fit(frame, y)
        work = _adopted(model, frame, y)
        found = sklearn.scores(work, work.rows.val.x).argmax(axis=1)
        assert (found == work.rows.val.y).all()
        with pytest.raises(TrialFailed):
            runtime.get("onnxruntime").export(work, tmp_path)


@pytest.mark.parametrize("as_array", [False, True])
def test_what_float32_would_change_is_exported_with_64_bits(as_array: bool, tmp_path: Path) -> None:
    lat = np.round(52 + RNG.random(ROWS) / 100, 6)
    frame = pd.DataFrame({"lat": lat, "lon": np.round(13 + RNG.random(ROWS) / 100, 6)})
    rows = frame.to_numpy() if as_array else frame
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(rows, lat)
    data, task = load((rows, lat - lat.min()), as_stored=True, task="regression")
    work = Workload(
        data, task, metric.get("r2"), model, "sklearn", scenario=Scenario(request="array" if as_array else "dict"),
        outputs="values",
    )  # fmt: skip
    work = sklearn.adopt(work)
    session = runtime.get("onnxruntime").open(runtime.get("onnxruntime").export(work, tmp_path), work.scenario)
    assert verify.verify(work, session, data.val.x) is None
    assert {entry.type for entry in session._session.get_inputs()} == {"tensor(double)"}
    np.testing.assert_allclose(session.predict(data.val.x), sklearn.scores(work, data.val.x), rtol=1e-6)


def test_a_column_that_no_export_keeps_is_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ts": 1_700_000_000 + RNG.integers(0, 3600, ROWS), "size": SIZE})
    tree = DecisionTreeClassifier(random_state=0)
    y = (frame["ts"] // 60) % 2
    model = make_pipeline(make_column_transformer((FunctionTransformer(_minute), ["ts"]), remainder="drop"), tree)
    work = _adopted(model.fit(frame, y), frame, y)
    with pytest.raises(TrialFailed, match="numbers of 'ts' change in float32"):
        runtime.get("onnxruntime").export(work, tmp_path)


def test_labels_written_otherwise_are_answered_as_the_data_have_them(tmp_path: Path) -> None:
    frame = pd.DataFrame({"size": SIZE, "other": SIZE[::-1]})
    truth = SIZE > 0
    for fitted, data in [
        (truth.astype(int).astype(str), truth.astype(int)), (truth.astype(int), truth.astype(int).astype(str)),
        (truth.astype(float), truth), (truth, truth.astype(str)),
    ]:  # fmt: skip
        model = LogisticRegression().fit(frame, fitted)
        work = _adopted(model, frame, pd.Series(data))
        (folder := tmp_path / f"{fitted.dtype} {data.dtype}").mkdir()
        for kind in ("sklearn", "onnxruntime"):
            session = runtime.get(kind).open(runtime.get(kind).export(work, folder), work.scenario)
            answers = session.predict(work.rows.val.x)
            assert set(answers.tolist()) <= set(work.rows.classes or ())
            own = model.predict(work.rows.original("val", slice(None)))  # type: ignore[misc]
            assert (answers == np.asarray(work.rows.classes)[[list(model.classes_).index(v) for v in own]]).all()
    with pytest.raises(InputError, match="classes 'no', 'yes', the data have 'down', 'up'"):
        _adopted(LogisticRegression().fit(frame, np.where(truth, "yes", "no")), frame, np.where(truth, "up", "down"))
