"""One row, many rows, in whatever form: each runtime answers a request as it answers the columns."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest

from trimwatt import input as inputs
from trimwatt import metric
from trimwatt import runtime as runtimes
from trimwatt.errors import InputError
from trimwatt.framework.onnx import adopt, lower
from trimwatt.framework.prepare import columns_read
from trimwatt.input.predict import describe
from trimwatt.runtime import deployed
from trimwatt.runtime._base import Session
from trimwatt.runtime.verify import verify
from trimwatt.scenario import Scenario
from trimwatt.technique._base import apply
from trimwatt.technique.classical import Linear, Tree
from trimwatt.testing import samples
from trimwatt.workload import Split, Workload, count, take

OLD = Path(__file__).parent / "data" / "named_inputs"
RUNTIMES = ["onnxruntime", "openvino", "sklearn"]


def frame_of(rows: dict[str, Any]) -> pd.DataFrame:
    """A frame as a user has it: other columns too, in another order, missing words as None."""
    columns = {name: [None if cell == "" else cell for cell in column.tolist()] for name, column in rows.items()}
    return pd.DataFrame({"id": range(len(next(iter(columns.values())))), **dict(reversed(columns.items()))})


def forms(rows: dict[str, Any]) -> dict[str, Any]:
    """The rows in every form that carries many, or one where there is one."""
    frame = frame_of(rows)
    found = {
        "frame": frame, "nullable": frame.convert_dtypes(), "categories": frame.astype({"work": "category"}),
        "objects": frame.astype(object), "arrays": {name: frame[name].to_numpy() for name in frame},
        "series": {name: frame[name] for name in frame}, "lists": frame.to_dict("list"),
        "dicts": frame.to_dict("records"), "matrices": {name: c.reshape(-1, 1) for name, c in rows.items()},
    }  # fmt: skip
    if len(frame) == 1:
        found |= {"row": frame.iloc[0], "cells": frame.to_dict("records")[0]}
    return found


@pytest.fixture(scope="module")
def work() -> Workload:
    return apply(Linear(), samples.people())


@pytest.fixture(scope="module", params=RUNTIMES)
def session(request: pytest.FixtureRequest, work: Workload, tmp_path_factory: pytest.TempPathFactory) -> Session:
    pytest.importorskip(request.param)
    kind = runtimes.get(request.param)
    exported = work if request.param == "sklearn" else lower(work)
    return kind.open(kind.export(exported, tmp_path_factory.mktemp("artifact")), work.scenario)


@pytest.mark.parametrize("n", [1, 3, 100])
def test_every_form_of_a_request_gets_the_same_answer(session: Session, work: Workload, n: int) -> None:
    rows = take(work.rows.val.x, slice(0, n))
    assert isinstance(rows, dict) and count(rows) == n
    wanted = session.scores(rows)
    for name, request in forms(rows).items():
        np.testing.assert_array_equal(session.scores(request), wanted, err_msg=name)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, float("inf"), np.float64(1e300)])
def test_a_missing_number_is_imputed_however_it_is_written(session: Session, missing: Any) -> None:
    row: dict[str, Any] = {"age": np.nan, "hours per week": 40, "work": "office", "town": "never seen"}
    wanted = session.scores([row])
    for request in ([row | {"age": missing}], row | {"age": missing}, pd.DataFrame([row | {"age": missing}])):
        np.testing.assert_array_equal(session.scores(request), wanted)
    many = pd.DataFrame([row | {"age": missing}] * 100).astype({"age": object})
    np.testing.assert_allclose(session.scores(many), np.repeat(wanted, 100, axis=0), atol=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 100])
def test_numbers_that_float32_does_not_hold_are_missing(session: Session, kind: Any, n: int) -> None:
    row: dict[str, Any] = {"age": np.nan, "hours per week": 40.0, "work": "office", "town": ""}
    wanted = np.repeat(session.scores([row]), n, axis=0)  # type: ignore[arg-type]
    for odd in (np.inf, -np.inf, 3e38 if kind is np.float32 else 1e300):
        request = {name: np.array([cell] * n) for name, cell in row.items()} | {"age": np.full(n, odd, kind)}
        if abs(odd) == 3e38:  # large, yet a number
            assert np.isfinite(session.scores(request)).all()
        else:
            np.testing.assert_allclose(session.scores(request), wanted, atol=1e-6)


@pytest.mark.parametrize("missing", ["", None, np.nan, pd.NA, pd.NaT, "NA", " "])
def test_a_missing_word_is_the_empty_one(session: Session, missing: Any) -> None:
    row: dict[str, Any] = {"age": 30.0, "hours per week": 40.0, "work": "", "town": "Örtchen 1"}
    np.testing.assert_array_equal(session.scores([row | {"work": missing}]), session.scores([row]))
    np.testing.assert_array_equal(session.scores([row | {"town": " Örtchen 1 "}]), session.scores([row]))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"age": 1, "work": "", "town": ""}, "column 'hours per week', which the artifact takes, is missing"),
        ({"age": "old", "hours per week": 1, "work": "", "town": ""}, "column 'age' holds 'old'"),
        ({"age": np.datetime64("2020-01-01", "ns"), "hours per week": 1, "work": "", "town": ""}, "column 'age' holds"),
    ],
)
def test_what_does_not_fit_is_said_of_its_column(session: Session, row: dict[str, Any], says: str) -> None:
    frame = pd.DataFrame([row])
    arrays = {name: np.array([cell]) for name, cell in row.items()}
    for request in (row, [row, row], frame, pd.concat([frame] * 100), arrays):
        with pytest.raises(InputError, match=says):
            session.predict(request)  # type: ignore[arg-type]


def test_what_holds_no_named_columns_is_refused(session: Session) -> None:
    for request in (np.zeros((1, 4)), [1.0, 2.0], "row", 7):
        with pytest.raises(InputError, match="rows come as named columns here"):
            session.predict(request)  # type: ignore[arg-type]
    twice = pd.DataFrame([[1.0, 2.0, 3.0, "", ""]], columns=["age", "age", "hours per week", "work", "town"])
    with pytest.raises(InputError, match="column 'age' is there twice"):
        session.predict(twice)  # type: ignore[arg-type]
    uneven = {"age": [1.0, 2.0], "hours per week": [1.0], "work": [""], "town": [""]}
    with pytest.raises(InputError, match="column 'hours per week' has shape"):
        session.predict(uneven)  # type: ignore[arg-type]


def test_frames_with_other_labels_in_turn_are_each_read_by_theirs(session: Session, work: Workload) -> None:
    rows = take(work.rows.val.x, slice(0, 1))
    assert isinstance(rows, dict)
    frame = frame_of(rows)
    turned = frame[frame.columns[::-1]]
    wanted = session.scores(rows)
    for request in (frame, turned, turned.iloc[0], frame, frame.iloc[0], turned.drop(columns="id")):
        np.testing.assert_array_equal(session.scores(request), wanted)


def test_the_file_alone_says_which_columns_stand_where(tmp_path: Path) -> None:
    made = lower(apply(Tree(), samples.people()))
    artifact = runtimes.get("onnxruntime").export(made, tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    assert [entry.name for entry in model.graph.input] == ["numbers"]
    (tensor,) = json.loads({entry.key: entry.value for entry in model.metadata_props}["trimwatt.inputs"])
    assert [column["name"] for column in tensor["columns"]] == ["age", "hours per week", "work", "town"]
    assert tensor["columns"][2]["codes"] == {"": 0, "field": 1, "home, alone": 2, "office": 3}
    # in the manifest without the categories
    assert artifact.tensors == [
        {"name": "numbers", "dtype": "float32", "columns": ["age", "hours per week", "work", "town"]}
    ]


@pytest.mark.parametrize(
    "said",
    ["[]", "{", '[{"name": "numbers", "dtype": "text", "columns": []}]', "[" * 100_000,
     '[{"name": "other", "dtype": "float32", "columns": [{"name": "age"}]}]',
     '[{"name": "numbers", "dtype": "float32", "columns": [{"name": "age", "codes": {"a": "b"}}]}]'],
)  # fmt: skip
def test_a_file_that_says_it_wrongly_is_refused(said: str, tmp_path: Path) -> None:
    kind = runtimes.get("onnxruntime")
    artifact = kind.export(lower(apply(Linear(), samples.people())), tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.helper.set_model_props(model, {"trimwatt.inputs": said})
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(InputError, match="export it again"):
        kind.open(artifact, Scenario())


@pytest.mark.parametrize("made", [Linear(), Tree()], ids=["linear", "tree"])
def test_a_delivered_model_can_be_given_again(made: Any, tmp_path: Path) -> None:
    """As a model to start from: its words are coded as its own file says, whatever the order of the data's columns."""
    work, kind = lower(apply(made, samples.people())), runtimes.get("onnxruntime")
    wanted = kind.open(kind.export(work, tmp_path), work.scenario).scores(work.rows.test.x)

    def turned(part: Split) -> Split:
        assert isinstance(part.x, dict)
        return Split(dict(reversed(part.x.items())), part.y)

    data = replace(work.rows, train=turned(work.rows.train), val=turned(work.rows.val), test=turned(work.rows.test))
    content = (tmp_path / "model.onnx").read_bytes()
    given = adopt(replace(samples.people(), data=data, model=content, form="onnx"))
    again = kind.open(kind.export(given, tmp_path), work.scenario)
    np.testing.assert_allclose(again.scores(data.test.x), wanted, atol=1e-6)
    assert verify(given, again, data.val.x) is None


@pytest.mark.parametrize("name", ["text_and_numbers", "trees", "stored_dates", "numbers_openvino"])
def test_artifacts_with_an_input_per_column_still_answer(name: str) -> None:
    if name == "numbers_openvino":
        pytest.importorskip("openvino")
    kept = json.loads((OLD / f"{name}.json").read_text(encoding="utf-8"))
    model, rows = deployed.load(OLD / name), kept["rows"]
    one = [{column: cells[0] for column, cells in rows.items()}]
    for request, wanted in (
        (rows, kept["predictions"]),
        (pd.DataFrame(rows), kept["predictions"]),
        (one, kept["predictions"][:1]),
    ):
        found = model.predict(request).tolist()
        assert found == (pytest.approx(wanted, rel=1e-5) if isinstance(wanted[0], float) else wanted)
    if "probabilities" in kept:
        np.testing.assert_allclose(model.probabilities(rows), kept["probabilities"], atol=1e-5)


def test_stored_columns_are_seen_as_in_training(tmp_path: Path) -> None:
    """Dates as text, and prices with a sign, of a given model's table: one row and many, in every form."""
    rng, n = np.random.default_rng(3), 400
    frame = pd.DataFrame({
        "when": pd.date_range("2021-01-01", periods=n, freq="7h").astype(str), "load": rng.normal(5, 2, n),
        "price": [f"${v:,}" for v in rng.integers(1000, 9000, n)], "site": rng.choice(["a", "b", "c"], n),
    })  # fmt: skip
    y = frame["load"] * 2 + (frame["site"] == "a") * 3 + pd.to_datetime(frame["when"]).dt.hour / 6
    frame.assign(y=y).to_csv(tmp_path / "dates.csv", index=False)
    data, task = inputs.load(tmp_path / "dates.csv", target="y", task="regression", as_stored=True)
    made = apply(Linear(), Workload(data, task, metric.get("r2"), outputs="values", scenario=Scenario(request="frame")))
    (tmp_path / "made").mkdir()
    artifact = runtimes.get("onnxruntime").export(lower(made), tmp_path / "made")
    folder = deployed.write(
        tmp_path / "artifact", artifact, task=task, metric="r2", classes=None, recipe=[], figures={},
        input=describe(data, columns_read(made.prepare)), scenario=made.scenario,
    )  # fmt: skip
    model = deployed.load(folder)
    assert made.prepare is not None
    wanted = model.predict(frame)
    assert np.corrcoef(wanted, y)[0, 1] > 0.9
    dates = frame.assign(when=pd.to_datetime(frame["when"]))
    for request in (frame.to_dict("list"), frame.to_dict("records"), dates, frame[["site", "price", "when", "load"]]):
        np.testing.assert_allclose(model.predict(request), wanted, rtol=1e-6)
    for request in (frame.iloc[:1], frame.iloc[0], frame.iloc[0].to_dict(), dates.iloc[:1], dates.iloc[0]):
        np.testing.assert_allclose(model.predict(request), wanted[:1], rtol=1e-6)
