"""Inner names of a given ONNX model, and names of columns, may be those that are added later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import helper, numpy_helper
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trimwatt import metric
from trimwatt.framework import sklearn
from trimwatt.framework.onnx import adopt, join, lower, open_session, run
from trimwatt.runtime.onnxruntime import OnnxSession
from trimwatt.technique._base import apply
from trimwatt.technique.classical import Forest, Linear
from trimwatt.workload import Data, Decide, Split, Workload

_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=(200, 6)).astype(np.float32)
_W = _RNG.normal(size=(6, 2)).astype(np.float32)
_Y = (np.tanh(_X) @ _W).argmax(1).astype(np.int64)
_OURS = ("x", "prepared", "prediction", "probability", "label/one_hot", "decide/given", "core/a", "given/x", "n")


def _work(model: bytes | None, x: Any = _X) -> Workload:
    split = Split(x, _Y)
    data = Data(split, split, split, classes=(0, 1))
    return Workload(data, metric=metric.get("accuracy"), model=model, form="none", decide=Decide((0, 1)))


def _model(given: str, inner: str, weights: str, answer: str, branch: str) -> bytes:
    """tanh(given) through a branch, times weights."""
    then = helper.make_graph(
        [helper.make_node("Identity", [inner], [f"{branch}_same"])], "then", [],
        [helper.make_tensor_value_info(f"{branch}_same", 1, None)],
    )  # fmt: skip
    zeros = numpy_helper.from_array(np.zeros((1, 6), np.float32))
    other = helper.make_graph(
        [helper.make_node("Constant", [], [branch], value=zeros),
         helper.make_node("Add", [inner, branch], [f"{branch}_sum"])], "else", [],
        [helper.make_tensor_value_info(f"{branch}_sum", 1, None)],
    )  # fmt: skip
    nodes = [
        helper.make_node("Tanh", [given], [inner]),
        helper.make_node("If", ["which"], ["chosen"], then_branch=then, else_branch=other),
        helper.make_node("MatMul", ["chosen", weights], [answer]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(given, 1, ["m", 6])],
        [helper.make_tensor_value_info(answer, 1, ["m", 2])],
        [numpy_helper.from_array(_W, weights), numpy_helper.from_array(np.array(False), "which")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _predicted(model: bytes, x: Any = _X) -> list[int]:
    session = open_session(model)
    return session.run(["prediction"], run.feed(session, x))[0].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("shift", range(len(_OURS)))
def test_inner_names_may_be_ours(shift: int) -> None:
    names = [_OURS[(shift + i) % len(_OURS)] for i in range(5)]
    adopted = adopt(_work(_model(names[0], names[1], names[2], names[3], names[4])))
    assert _predicted(join(adopted)) == _Y.tolist()


_COLUMNS = ("x", "prepared", "prepare/Concat3", "core/x", "decide/given", "label")


@pytest.mark.parametrize(
    "model", [_model("rows", "x", "w", "prepared", "b"), _model("x", "prepared", "w", "label", "b")]
)
def test_columns_may_be_called_as_our_values_or_as_an_input(model: bytes) -> None:
    x = {name: _X[:, i].copy() for i, name in enumerate(_COLUMNS)}
    assert _predicted(join(adopt(_work(model, x))), x) == _Y.tolist()


@pytest.mark.parametrize("technique", [Linear(), Forest(trees=3)])
def test_models_made_here_take_such_columns(technique: Any) -> None:
    x = {name: _X[:, i].copy() for i, name in enumerate(_COLUMNS)}
    x["prepare/Where1"] = np.array(["a", "b"] * 100, dtype=object)
    made = apply(technique, _work(None, x))
    assert _predicted(join(lower(made)), x) == sklearn.scores(made, x).argmax(1).tolist()


def test_a_given_pipeline_takes_columns_called_as_its_converter_calls_values() -> None:
    names = ["variable", "label", "probabilities", "x", "mul_result", "output_label"]
    x = {name: _X[:, i].copy() for i, name in enumerate(names)}
    frame = pd.DataFrame(x)
    model = make_pipeline(make_column_transformer((StandardScaler(), names)), LogisticRegression()).fit(frame, _Y)
    adopted = sklearn.adopt(replace(_work(None, x), model=model, form="sklearn"))
    assert _predicted(join(lower(adopted)), x) == model.predict(frame).tolist()


def test_a_table_of_one_column_called_x_is_a_table() -> None:
    x = {"x": _X[:, 0].copy()}
    split = Split(x, (x["x"] > 0).astype(np.int64))
    base = replace(_work(None, x), data=Data(split, split, split, classes=(0, 1)))
    session = OnnxSession(open_session(join(lower(apply(Linear(), base)))))
    assert (session.predict(x) == split.y).mean() > 0.95
    assert session.predict(pd.DataFrame(x)).tolist() == session.predict(x).tolist()
