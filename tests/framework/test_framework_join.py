"""Joining to the deployed file: the answer is that of the parts, whatever the model gives and the labels are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from trimwatt import framework, metric
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import _missing, join, lower, open_session, run, scores
from trimwatt.framework.prepare import fit_prepare
from trimwatt.technique import registry
from trimwatt.technique._base import apply
from trimwatt.technique.classical import Linear
from trimwatt.testing import samples
from trimwatt.workload import Data, Decide, Outputs, Split, Workload

_X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)


def _core(width: int, *nodes: Any, opset: int = 17, name: str = "x", shape: tuple[Any, ...] | None = None) -> bytes:
    """x (n, 4) @ w (4, width), then `nodes`, to `out`."""
    weight = np.random.default_rng(1).normal(size=(4, width)).astype(np.float32)
    first = helper.make_node("MatMul", [name, "w"], ["raw" if nodes else "out"])
    graph = helper.make_graph(
        [first, *nodes], "core", [helper.make_tensor_value_info(name, 1, ["batch", 4])],
        [helper.make_tensor_value_info("out", 1, shape or [None, width])], [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return bytes(model.SerializeToString())


def _work(core: bytes, outputs: Outputs, classes: tuple[Any, ...], **more: Any) -> Workload:
    split = Split(_X, np.zeros(len(_X), np.int64))
    decide = more.pop("decide", Decide(classes))
    data = Data(split, split, split, classes=classes)
    return Workload(data, model=core, form="onnx", outputs=outputs, decide=decide, **more)


def _softmax() -> Any:
    return helper.make_node("Softmax", ["raw"], ["out"], axis=1)


def _sigmoid() -> Any:
    return helper.make_node("Sigmoid", ["raw"], ["out"])


def _deployed(work: Workload, rows: Any = _X) -> tuple[np.ndarray, np.ndarray]:
    model = join(work)
    assert [o.name for o in onnx.load_model_from_string(model).graph.output] == ["prediction", "probability"]
    prediction, probability = open_session(model).run(["prediction", "probability"], {"x": rows})
    return prediction, probability


_CASES: list[tuple[bytes, Outputs, tuple[Any, ...], dict[str, Any]]] = [
    (_core(3), "logits", (0, 1, 2), {}),
    (_core(3), "logits", ("a", "b", "c"), {}),
    (_core(3), "logits", (-7, 2, 2**40), {}),
    (_core(3, _softmax()), "probabilities", (0, 1, 2), {}),
    (_core(3, _softmax()), "probabilities", ("ä", "b", ""), {"class_columns": (2, 0, 1)}),
    (_core(3), "logits", ("a", "b", "c", "d", "e"), {"class_columns": (4, 0, 2)}),
    (_core(1), "logits", ("no", "yes"), {}),
    (_core(1, _sigmoid()), "probabilities", (0, 1), {}),
    (_core(1), "logits", ("no", "yes"), {"class_columns": (1, 0)}),
    (_core(2), "logits", ("no", "yes"), {"decide": Decide(("no", "yes"), 0.3, 1)}),
    (_core(2), "logits", ("no", "yes"), {"decide": Decide(("no", "yes"), 0.3, 0)}),
    (_core(1), "logits", (3, 9), {"decide": Decide((3, 9), 0.8, 1)}),
    (_core(2, _softmax()), "probabilities", (0, 1), {"decide": Decide((0, 1), 0.7, 1), "class_columns": (1, 0)}),
]


@pytest.mark.parametrize(("core", "outputs", "classes", "more"), _CASES)
def test_the_answer_is_that_of_the_parts(
    core: bytes, outputs: Outputs, classes: tuple[Any, ...], more: dict[str, Any]
) -> None:
    work = _work(core, outputs, classes, **more)
    prediction, probability = _deployed(work)
    expected = scores(work, _X)
    np.testing.assert_allclose(probability, expected, atol=1e-6)
    assert work.decide is not None
    assert prediction.tolist() == work.decide.labels(expected).tolist()
    assert probability.dtype == np.float32 and prediction.dtype == (object if isinstance(classes[0], str) else np.int64)
    assert _deployed(work, _X[:1])[0].tolist() == prediction[:1].tolist()


@given(st.floats(0.01, 0.99), st.integers(0, 1), st.permutations((0, 1)))
def test_any_threshold_decides_alike(threshold: float, positive: int, columns: list[int]) -> None:
    decide = Decide(("no", "yes"), threshold, positive)
    work = _work(_core(2), "logits", ("no", "yes"), decide=decide, class_columns=tuple(columns))
    prediction, probability = _deployed(work)
    assert prediction.tolist() == decide.labels(probability).tolist()


@pytest.mark.parametrize("shape", [[None, 1], [None]])
@pytest.mark.parametrize("double", [False, True])
def test_values_come_as_one_float_a_row(shape: list[Any], double: bool) -> None:
    nodes: list[Any] = []
    source = "raw"
    if len(shape) == 1:
        nodes.append(helper.make_node("Squeeze", ["raw"], ["flat"]))
        source = "flat"
    nodes.append(
        helper.make_node("Cast", [source], ["out"], to=11) if double else helper.make_node("Neg", [source], ["out"])
    )
    model = onnx.load_model_from_string(_core(1, *nodes, shape=tuple(shape)))
    model.graph.output[0].type.tensor_type.elem_type = 11 if double else 1
    split = Split(_X, np.zeros(len(_X)))
    work = Workload(
        Data(split, split, split), "regression", model=model.SerializeToString(), form="onnx", outputs="values"
    )
    (prediction,) = open_session(join(work)).run(["prediction"], {"x": _X})
    assert prediction.dtype == np.float32 and prediction.shape == (50,)
    np.testing.assert_allclose(prediction, scores(work, _X), rtol=1e-6)


@pytest.mark.parametrize("opset", [8, 11, 13, 17, 21])
def test_cores_of_other_opsets_share_the_graph(opset: int) -> None:
    core = _core(3, helper.make_node("Flatten", ["raw"], ["out"], axis=1), opset=opset, name="prepared")
    work = _work(core, "logits", ("a", "b", "c"))
    work = replace(work, prepare=fit_prepare(work.rows, "scaled"))
    np.testing.assert_allclose(_deployed(work)[1], scores(work, _X), atol=1e-6)


def test_names_inside_never_collide() -> None:
    work = apply(Linear(), samples.people())
    core = lower(work)
    data = core.rows
    assert isinstance(data.train.x, dict)
    inner = onnx.load_model_from_string(core.model)
    taken = inner.graph.node[0].output[0]
    renamed = {taken: data.train.x["age"]} | {k: v for k, v in data.train.x.items() if k != "age"}
    clash = replace(data, train=Split(renamed, data.train.y))
    work = lower(apply(Linear(), replace(samples.people(), data=clash)))
    session = open_session(join(work))
    got = session.run(["probability"], run.feed(session, renamed))[0]
    np.testing.assert_allclose(got, scores(work, renamed), atol=1e-6)


def test_a_column_may_be_called_as_an_output_but_no_input_of_a_given_model() -> None:
    data = samples.people().rows
    assert isinstance(data.train.x, dict)
    x = {"prediction": data.train.x["age"]}
    work = lower(apply(Linear(), replace(samples.people(), data=replace(data, train=Split(x, data.train.y)))))
    session = open_session(join(work))
    got = session.run(["probability"], run.feed(session, x))[0]
    np.testing.assert_allclose(got, scores(work, x), atol=1e-6)
    own = _core(3, name="prediction")
    with pytest.raises(InputError, match="a column is called 'prediction'"):
        join(_work(own, "logits", ("a", "b", "c")))


def test_no_node_is_wasted() -> None:
    def operators(work: Workload) -> list[str]:
        return [node.op_type for node in onnx.load_model_from_string(join(work)).graph.node]

    assert operators(_work(_core(3), "logits", (0, 1, 2))) == ["MatMul", "Softmax", "ArgMax"]
    assert operators(_work(_core(3), "logits", ("a", "b", "c"))) == ["MatMul", "Softmax", "ArgMax", "Gather"]


def test_a_model_that_is_no_onnx_is_a_reason() -> None:
    with pytest.raises(TrialFailed, match="not readable as ONNX"):
        join(_work(b"not a model", "logits", (0, 1)))


@given(st.floats(0.01, 0.99), st.integers(0, 1), st.sampled_from(["logits", "probabilities"]))
def test_any_threshold_decides_alike_by_one_score(threshold: float, positive: int, outputs: Outputs) -> None:
    decide = Decide(("no", "yes"), threshold, positive)
    work = _work(_core(1, *([] if outputs == "logits" else [_sigmoid()])), outputs, ("no", "yes"), decide=decide)
    prediction, probability = _deployed(work)
    clear = np.abs(probability[:, positive] - threshold) > 1e-6
    assert prediction[clear].tolist() == decide.labels(probability[clear]).tolist()


@pytest.mark.parametrize("kind", ["boosted", "forest", "tree"])
@pytest.mark.parametrize("named", [True, False])
def test_trees_send_missing_numbers_where_their_filling_goes(kind: str, named: bool) -> None:
    work = apply(registry()[kind](), samples.people() if named else _gaps())
    model = onnx.load_model_from_string(join(lower(work)))
    assert "IsNaN" not in {node.op_type for node in model.graph.node}
    rows = _without_numbers(work.rows.val.x)
    session = open_session(model.SerializeToString())
    got = session.run(["probability"], run.feed(session, rows))[0]
    np.testing.assert_allclose(got, framework.get("sklearn").scores(work, rows), atol=1e-5)


def _gaps() -> Workload:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    split = Split(np.where(rng.random(x.shape) < 0.2, np.nan, x).astype(np.float32), (x[:, 0] > 0).astype(np.int64))
    return Workload(Data(split, split, split, classes=(0, 1)), metric=metric.get("accuracy"))


def _without_numbers(rows: Any) -> Any:
    """Every second number missing."""
    if isinstance(rows, dict):
        return {n: _without_numbers(c) if c.dtype.kind == "f" else c for n, c in rows.items()}
    fewer = rows.copy()
    fewer[::2] = np.nan
    return fewer


def test_one_filling_for_all_columns_is_left_as_it_is() -> None:
    work = apply(registry()["tree"](), _gaps())
    model = onnx.load_model_from_string(join(replace(lower(work), prepare=None)))
    trees = next(node for node in model.graph.node if node.op_type.startswith("TreeEnsemble"))
    fill = numpy_helper.from_array(np.asarray([0.5], np.float32), "fill")
    given = trees.input[0]
    nodes = [helper.make_node("IsNaN", [given], ["gap"]), helper.make_node("Where", ["gap", "fill", given], ["full"])]
    trees.input[0] = "full"
    for place, node in enumerate(nodes):
        model.graph.node.insert(place, node)
    model.graph.initializer.append(fill)
    _missing.fold(model.graph)
    assert "IsNaN" in {node.op_type for node in model.graph.node}
