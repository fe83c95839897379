"""Models: ONNX files and what callables return."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimwatt.errors import InputError
from trimwatt.input import load, load_model
from trimwatt.workload import Workload

onnx = pytest.importorskip("onnx")


def _model(size: int = 4) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(size * 2, dtype=np.float32).reshape(size, 2), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["scores"])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, size])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2])],
        [weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _outside(path: Path, location: str = "weights.bin", size: int = 400) -> Path:
    """A model whose weights lie in another file."""
    onnx.save_model(
        _model(size), path, save_as_external_data=True, location="weights.bin", size_threshold=0, convert_attribute=True
    )
    model = onnx.load_model(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(model.SerializeToString())
    return path


def test_an_onnx_file_comes_as_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save_model(_model(), path)
    made = load_model(path)
    assert (made.form, made.model, made.rebuild) == ("onnx", path.read_bytes(), None)
    assert load_model(str(path)).model == load_model(path.read_bytes()).model == load_model(_model()).model


def test_data_says_the_task(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(100, 4)), np.arange(100) % 2
    data, _ = load((x, y))
    made = load_model(_model(), data)
    assert made.data is data and made.task.name == "classification"
    assert load_model(_model(), load((x, x[:, 0]))[0]).task.name == "regression"


def test_external_data_beside_the_model_are_taken_in(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    made = load_model(_outside(tmp_path / "m.onnx"))
    (tmp_path / "weights.bin").unlink()
    session = ort.InferenceSession(made.model)
    ones = np.ones((1, 400), np.float32)
    np.testing.assert_allclose(
        session.run(None, {"x": ones})[0], ones @ np.arange(800, dtype=np.float32).reshape(400, 2), rtol=1e-5
    )


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "sub/../../weights.bin", "link.bin", ""])
def test_external_data_elsewhere_are_refused(tmp_path: Path, location: str) -> None:
    home = tmp_path / "model"
    home.mkdir()
    path = _outside(home / "m.onnx", location)
    (tmp_path / "weights.bin").write_bytes((home / "weights.bin").read_bytes())
    (home / "link.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(InputError, match="outside its folder"):
        load_model(path)


def test_external_data_that_are_not_there_or_short(tmp_path: Path) -> None:
    path = _outside(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="give the path"):
        load_model(path.read_bytes())
    (tmp_path / "weights.bin").write_bytes(b"1234")
    with pytest.raises(InputError, match=r"expects 3200 bytes in .*, which has 4"):
        load_model(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match="not beside it"):
        load_model(path)


def test_bad_model_files_are_refused_in_one_line(tmp_path: Path) -> None:
    broken = _model()
    broken.graph.node[0].op_type = "NoSuchOperator"
    for name, content, match in [
        ("empty.onnx", b"", "empty"),
        ("words.onnx", b"these are words", "not a readable ONNX|not an ONNX"),
        ("zeros.onnx", bytes(100), "not a readable ONNX|not an ONNX"),
        ("cut.onnx", _model().SerializeToString()[:-30], "not a readable ONNX|not a valid"),
        ("broken.onnx", broken.SerializeToString(), "not a valid ONNX model .*NoSuchOperator"),
        ("m.keras", b"x", "export.'model.onnx', format='onnx'"),
        ("m.pt", b"x", "never loaded from files"),
        ("m.pkl", b"x", "never loaded from files"),
        ("m.tflite", b"x", "convert it to ONNX"),
        ("m.py", b"x", "without .py"),
        ("m.xyz", b"x", "export the model"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=match) as caught:
            load_model(tmp_path / name)
        assert "\n" not in str(caught.value) and name in str(caught.value)
    with pytest.raises(InputError, match="did you mean"):
        load_model(tmp_path / "brokn.onnx")
    with pytest.raises(InputError, match="is a folder"):
        load_model(tmp_path)


MODULE = """
from pathlib import Path
def workload():
    from trimwatt.workload import Workload
    return Workload(model=b"", form="onnx", outputs="values")
def forest():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    return make_pipeline(RandomForestClassifier())
def network():
    from torch import nn
    return nn.Sequential(nn.Linear(4, 2))
def path():
    return Path("m.onnx")
def absent():
    return "absent.onnx"
def number():
    return 7
def nothing():
    pass
def classy():
    from torch import nn
    return nn.Linear
def raises():
    raise ValueError("bad\\nluck")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_models.py").write_text(MODULE, encoding="utf-8")
    onnx.save_model(_model(), tmp_path / "m.onnx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_models", raising=False)
    return "own_models"


@pytest.mark.parametrize(
    ("name", "needs", "form"),
    [
        ("workload", "numpy", "onnx"),
        ("forest", "sklearn", "sklearn"),
        ("network", "torch", "torch"),
        ("path", "onnx", "onnx"),
    ],
)
def test_callables_of_every_kind(module: str, name: str, needs: str, form: str) -> None:
    pytest.importorskip(needs)
    made = load_model(f"{module}:{name}")
    assert isinstance(made, Workload) and made.form == form
    assert made.rebuild is not None and type(made.rebuild()).__name__
    if name == "workload":
        assert made.outputs == "values"


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("absent", "returned what cannot be used: there is no file"),
        ("number", "returned int 7; a PyTorch module.*ONNX model.*return one of these"),
        ("nothing", "returned nothing .None."),
        ("classy", "the class Linear rather than an object"),
        ("raises", "raised ValueError: bad luck; .*a PyTorch module"),
        ("word", "has no 'word'"),
    ],
)
def test_callables_that_give_something_else(module: str, name: str, match: str) -> None:
    if name == "classy":
        pytest.importorskip("torch")
    with pytest.raises(InputError, match=match) as caught:
        load_model(f"{module}:{name}")
    assert "\n" not in str(caught.value)


def test_objects_and_what_is_none() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    estimator = linear.LogisticRegression()
    assert load_model(estimator).model is estimator
    data, _ = load((np.random.default_rng(0).normal(size=(100, 4)), np.arange(100) % 2))
    assert load_model(Workload(model=estimator, form="sklearn"), data).data is data
    for value in (7, None, [1], linear.LogisticRegression):
        with pytest.raises(InputError, match="the model came as"):
            load_model(value)


def test_keras_objects_are_told_the_way() -> None:
    layer = type("Model", (), {"__module__": "keras.src.models.model"})
    with pytest.raises(InputError, match="Keras Model"):
        load_model(layer())
