"""Taking in ONNX files of unknown source."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from trimwatt.errors import InputError
from trimwatt.framework.onnx import adopt, join, open_session, run, scores
from trimwatt.workload import Data, Decide, Split, Workload

_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=(120, 4)).astype(np.float32)
_Y = (_X[:, 0] > 0).astype(np.int64) + (_X[:, 1] > 0.5)
_CLASSES = ("blue", "green", "red")


def _work(model: bytes, classes: tuple[Any, ...] | None = _CLASSES, x: Any = _X, y: Any = _Y) -> Workload:
    split = Split(x, y if classes else y.astype(np.float64))
    task: Any = "classification" if classes else "regression"
    return Workload(Data(split, split, split, classes=classes), task, model=model, form="none")


def _skl(model: Any, target: Any, **options: Any) -> bytes:
    model.fit(_X, target)
    chosen = {"options": options} if options else {}
    return bytes(
        to_onnx(
            model, initial_types=[("float_input", FloatTensorType([None, 4]))], target_opset=17, **chosen
        ).SerializeToString()
    )


def _net(*nodes: Any, out: tuple[Any, ...], inputs: Any = None, kind: int = 1, **weights: Any) -> bytes:
    entries = inputs or [helper.make_tensor_value_info("image", 1, ["n", 4])]
    outputs = [helper.make_tensor_value_info("out", kind, list(out))]
    tensors = [numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items()]
    graph = helper.make_graph(list(nodes), "g", entries, outputs, tensors)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )


_W = _RNG.normal(size=(4, 3)).astype(np.float32)


def _linear(*more: Any, **options: Any) -> bytes:
    return _net(
        helper.make_node("MatMul", ["image", "w"], ["raw" if more else "out"]), *more, out=(None, 3), w=_W, **options
    )


def _deployed(work: Workload, x: Any = _X) -> tuple[np.ndarray, np.ndarray]:
    session = open_session(join(work))
    prediction, probability = session.run(["prediction", "probability"], run.feed(session, x))
    return prediction, probability


@pytest.mark.parametrize("options", [{}, {"zipmap": False}])
@pytest.mark.parametrize("labels", ["labels", "codes"])
@pytest.mark.parametrize("kind", [LogisticRegression, RandomForestClassifier])
def test_scikit_learns_pair_of_outputs(kind: Any, labels: str, options: dict[str, Any]) -> None:
    target = np.asarray(_CLASSES)[_Y] if labels == "labels" else _Y
    model = kind()
    adopted = adopt(_work(_skl(model, target, **options)))
    assert adopted.form == "onnx" and adopted.outputs == "probabilities" and adopted.class_columns is None
    np.testing.assert_allclose(scores(adopted, _X), model.predict_proba(_X), atol=1e-5)
    said = model.predict(_X) if labels == "labels" else np.asarray(_CLASSES)[model.predict(_X)]
    assert _deployed(adopted)[0].tolist() == said.tolist()


def test_a_model_that_knows_fewer_classes() -> None:
    target = np.asarray(_CLASSES)[np.where(_Y == 1, 2, _Y)]
    adopted = adopt(_work(_skl(LogisticRegression(), target)))
    assert adopted.class_columns == (0, 2)
    assert (scores(adopted, _X)[:, 1] == 0).all()


def test_logits_and_probabilities_are_told_apart() -> None:
    logits = adopt(_work(_linear()))
    assert (logits.outputs, logits.decide) == ("logits", Decide(_CLASSES))
    softmax = adopt(_work(_linear(helper.make_node("Softmax", ["raw"], ["out"], axis=1))))
    assert softmax.outputs == "probabilities"
    np.testing.assert_allclose(scores(logits, _X), scores(softmax, _X), atol=1e-6)


@pytest.mark.parametrize(("sigmoid", "kind"), [(False, "logits"), (True, "probabilities")])
def test_one_column_is_the_second_of_two_classes(sigmoid: bool, kind: str) -> None:
    nodes = [helper.make_node("MatMul", ["image", "w"], ["raw" if sigmoid else "out"])]
    nodes += [helper.make_node("Sigmoid", ["raw"], ["out"])] if sigmoid else []
    adopted = adopt(_work(_net(*nodes, out=(None, 1), w=_W[:, :1]), ("no", "yes"), y=_Y % 2))
    assert adopted.outputs == kind
    expected = 1 / (1 + np.exp(-(_X @ _W[:, 0])))
    np.testing.assert_allclose(scores(adopted, _X)[:, 1], expected, atol=1e-5)
    assert _deployed(adopted)[0].tolist() == np.where(expected > 0.5, "yes", "no").tolist()


def test_labels_alone_become_certain() -> None:
    node = [
        helper.make_node("MatMul", ["image", "w"], ["raw"]),
        helper.make_node("ArgMax", ["raw"], ["out"], axis=1, keepdims=0),
    ]
    adopted = adopt(_work(_net(*node, out=(None,), kind=7, w=_W)))
    assert scores(adopted, _X).argmax(1).tolist() == (_X @ _W).argmax(1).tolist()
    assert _deployed(adopted)[0].tolist() == np.asarray(_CLASSES)[(_X @ _W).argmax(1)].tolist()


def test_values() -> None:
    y = _X @ _W[:, 0]
    adopted = adopt(_work(_skl(LinearRegression(), y), None, y=y))
    assert adopted.outputs == "values" and adopted.decide is None
    np.testing.assert_allclose(scores(adopted, _X), y, atol=1e-4)
    (got,) = open_session(join(adopted)).run(["prediction"], {"x": _X})
    np.testing.assert_allclose(got, y, atol=1e-4)


@pytest.mark.parametrize("shape", [[1, 3], [1, -1], [-1, 3]])
def test_a_batch_of_one_is_freed(shape: list[int]) -> None:
    node = helper.make_node("Reshape", ["raw", "shape"], ["out"])
    fixed = [helper.make_tensor_value_info("image", 1, [1, 4])]
    nodes = [helper.make_node("MatMul", ["image", "w"], ["raw"]), node]
    model = _net(*nodes, out=(1, 3), inputs=fixed, w=_W, shape=np.asarray(shape, np.int64))
    adopted = adopt(_work(model))
    np.testing.assert_allclose(scores(adopted, _X), scores(adopt(_work(_linear())), _X), atol=1e-6)


def test_a_batch_that_cannot_be_freed_says_so() -> None:
    nodes = [
        helper.make_node("MatMul", ["image", "w"], ["raw"]),
        helper.make_node("Expand", ["raw", "two"], ["doubled"]),
        helper.make_node("Slice", ["doubled", "start", "end"], ["out"]),
    ]
    numbers = {"two": np.asarray([2, 3]), "start": np.asarray([0]), "end": np.asarray([1])}
    fixed = [helper.make_tensor_value_info("image", 1, [1, 4])]
    with pytest.raises(InputError, match=r"made for 1 row\(s\) at a time; export it with a dynamic batch axis"):
        adopt(_work(_net(*nodes, out=(1, 3), inputs=fixed, w=_W, **numbers)))


def _columns() -> dict[str, np.ndarray]:
    words = np.array(["a", "b", ""], object)[_RNG.integers(0, 3, 120)]
    return {"size": _X[:, 0].copy(), "count": np.arange(120, dtype=np.float32), "word": words}


def test_named_inputs_are_the_columns() -> None:
    x = _columns()
    import pandas as pd

    steps = make_column_transformer((OneHotEncoder(), ["word"]), ("passthrough", ["size", "count"]))
    model = make_pipeline(steps, LogisticRegression(max_iter=500)).fit(pd.DataFrame(x), np.asarray(_CLASSES)[_Y])
    kinds = [
        ("size", FloatTensorType([None, 1])),
        ("count", Int64TensorType([None, 1])),
        ("word", StringTensorType([None, 1])),
    ]
    adopted = adopt(_work(to_onnx(model, initial_types=kinds, target_opset=17).SerializeToString(), x=x))
    np.testing.assert_allclose(scores(adopted, x), model.predict_proba(pd.DataFrame(x)), atol=1e-4)
    assert _deployed(adopted, x)[0].tolist() == model.predict(pd.DataFrame(x)).tolist()


def test_columns_of_numbers_are_stacked_for_one_input() -> None:
    x = {f"c{i}": _X[:, i].copy() for i in range(4)}
    adopted = adopt(_work(_linear(), x=x))
    np.testing.assert_allclose(scores(adopted, x), scores(adopt(_work(_linear())), _X), atol=1e-6)
    assert _deployed(adopted, x)[0].tolist() == _deployed(adopt(_work(_linear())))[0].tolist()


def _external() -> bytes:
    model = onnx.load_model_from_string(_linear())
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        (b"nothing of the kind", {}, "not readable as ONNX"),
        (b"", {}, "it has no graph; is it an .onnx file"),
        (_external(), {}, "keeps 'w' in a file beside it; save it as one file"),
        (_linear(), {"x": _X.astype(np.float64)}, "the rows are float64; store the rows as float32"),
        (_linear(), {"x": _X[:, :3]}, r"takes image float \(n, 4\), the rows are stored as float32 \(n, 3\)"),
        (_linear(), {"x": _X[:, :, None]}, r"takes image float \(n, 4\), the rows are stored as float32 \(n, 4, 1\)"),
        (_linear(), {"x": _columns()}, "the data have columns size, count, word; name its inputs as the columns"),
        (
            _linear(),
            {"classes": ("a", "b", "c", "d")},
            r"4 classes: for 240 rows came out float32 \(240, 3\); wanted float \(n, 4\)",
        ),
        (_linear(), {"classes": None}, "the task is regression"),
        (
            _skl(LogisticRegression(), np.asarray(["x", "y", "z"])[_Y]),
            {},
            "classes 'x', 'y', 'z', the data have 'blue', 'green'",
        ),
        (
            _net(helper.make_node("Log", ["image"], ["out"]), out=(None, 4)),
            {"classes": ("a", "b", "c", "d")},
            "'out' is NaN or infinite",
        ),
    ],
)
def test_what_does_not_fit_says_why(model: bytes, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        adopt(_work(model, **changes))


def test_adopting_leaves_what_was_given() -> None:
    work = _work(_linear())
    before = work.model
    adopted = adopt(work)
    assert work.model is before and work.form == "none"
    assert adopt(replace(adopted)).model == adopted.model


def _two_values(*columns: Any) -> bytes:
    """Outputs first, second, ...: each a linear function of the rows."""
    nodes = [helper.make_node("MatMul", ["image", f"w{i}"], [f"out{i}"]) for i in range(len(columns))]
    outputs = [helper.make_tensor_value_info(f"out{i}", 1, ["n", 1]) for i in range(len(columns))]
    tensors = [numpy_helper.from_array(np.asarray(w, np.float32)[:, None], f"w{i}") for i, w in enumerate(columns)]
    entries = [helper.make_tensor_value_info("image", 1, ["n", 4])]
    graph = helper.make_graph(nodes, "g", entries, outputs, tensors)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )


def test_of_several_values_the_targets_choose_and_that_is_said() -> None:
    good, bad = (1.0, 2.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)
    target = _X @ np.asarray(good) + 0.1 * _RNG.normal(size=len(_X))
    adopted = adopt(_work(_two_values(bad, good), None, y=target))
    np.testing.assert_allclose(scores(adopted, _X), _X @ np.asarray(good, np.float32), atol=1e-5)
    assert adopted.rows.warnings[-1].startswith("several outputs of the model can be the value: 'out1' was taken")
    assert not adopt(_work(_two_values(good), None, y=target)).rows.warnings
    with pytest.raises(InputError, match=r"'out0', 'out1'.*targets do not tell which; keep only the one"):
        adopt(_work(_two_values(bad, (0.0, 0.0, 0.0, 1.0)), None, y=target))
