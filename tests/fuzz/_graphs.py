"""Random small ONNX graphs, with labels that follow their own answers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import onnxruntime
from _case import Case, tells_classes_apart
from onnx import TensorProto, helper, numpy_helper

Rng = np.random.Generator
ROWS = (160, 80, 80)
# names that an editor might want for itself
NAMES = [
    "x",
    "y",
    "prepared",
    "label",
    "scores",
    "probabilities",
    "input",
    "output",
    "w",
    "typed",
    "n",
    "variable",
    "a/b",
]
TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}

# ONNX Runtime has the others for float32 alone
ACTIVATIONS = {
    "float32": ["Relu", "Tanh", "Sigmoid", "Elu", "Softsign", "Abs", "LeakyRelu"],
    "float64": ["Relu", "Tanh", "Sigmoid", "Abs"],
}


class _Builder:
    """Nodes and weights under names drawn from those that could clash."""

    def __init__(self, rng: Rng, dtype: str) -> None:
        self.rng, self.dtype = rng, dtype
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.free = [str(name) for name in rng.permutation(NAMES)]

    def name(self) -> str:
        return self.free.pop() if self.free else f"value {len(self.nodes)} {len(self.weights)}"

    def weight(self, values: Any) -> str:
        name = self.name()
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = self.name()
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def dense(self, value: str, width: int, out: int) -> str:
        weight = self.rng.normal(size=(width, out)).astype(self.dtype) * 2 / np.sqrt(width)
        bias = 0.1 * self.rng.normal(size=out).astype(self.dtype)
        if self.rng.random() < 0.5:
            return self.add("Gemm", value, self.weight(weight.astype(self.dtype)), self.weight(bias.astype(self.dtype)))
        product = self.add("MatMul", value, self.weight(weight.astype(self.dtype)))
        return self.add("Add", product, self.weight(bias.astype(self.dtype)))


def _body(build: _Builder, value: str, width: int) -> tuple[str, int]:
    for _ in range(build.rng.integers(1, 4)):
        out = int(build.rng.integers(3, 9))
        value = build.dense(value, width, out)
        value = build.add(str(build.rng.choice(ACTIVATIONS[build.dtype])), value)
        width = out
    if build.rng.random() < 0.3:
        value = build.add("Add", value, build.add("Tanh", value))
    return value, width


def _convolutions(build: _Builder, value: str, channels: int) -> tuple[str, int]:
    """Pictures (n, channels, h, w) to features."""
    width = int(build.rng.integers(2, 7))
    weight = build.rng.normal(size=(width, channels, 3, 3)).astype(build.dtype) / 3
    value = build.add("Conv", value, build.weight(weight), pads=[1, 1, 1, 1])
    value = build.add(str(build.rng.choice(ACTIVATIONS[build.dtype])), value)
    pooled = build.add("GlobalAveragePool", value)
    return build.add("Flatten", pooled, axis=1), width


def _tail(build: _Builder, value: str, width: int, classes: int) -> tuple[list[str], str]:
    """The graph's outputs, and how the user reads the first."""
    rng = build.rng
    if classes == 0:
        return [build.dense(value, width, 1)], "value"
    if classes == 2 and rng.random() < 0.5:
        value = build.dense(value, width, 1)
        return ([build.add("Sigmoid", value)], "half") if rng.random() < 0.6 else ([value], "sign")
    value = build.dense(value, width, classes)
    if rng.random() < 0.6:
        value = build.add("Softmax", value, axis=1)
    if rng.random() < 0.3:
        return [value, build.add("ArgMax", value, axis=1, keepdims=0)], "best"
    return [value], "best"


def draw_graph(rng: Rng) -> Case:
    """A valid graph with the rows it takes and labels that are mostly its own answers."""
    return next(case for case in iter(lambda: _draw(rng), None) if tells_classes_apart(case))


def _draw(rng: Rng) -> Case:
    classes, dtype = int(rng.choice([0, 2, 2, 3, 5])), str(rng.choice(list(TYPES)))
    image = dtype == "float32" and rng.random() < 0.25
    shape = (int(rng.choice([1, 3])), 8, 8) if image else (int(rng.integers(3, 9)),)
    build = _Builder(rng, dtype)
    entry = build.name()
    value, out = _convolutions(build, entry, shape[0]) if image else (entry, shape[0])
    value, out = _body(build, value, out)
    outputs, reading = _tail(build, value, out, classes)
    model = _model(build, entry, shape, outputs)
    x = rng.normal(size=(sum(ROWS), *shape)).astype(dtype)
    answers = _answers(model, x)
    own = _read(answers, reading)
    y = own + 0.1 * np.std(own) * rng.normal(size=len(own)) if reading == "value" else _noisy(rng, own)
    ends = np.cumsum([0, *ROWS])
    data = tuple((x[a:b], y[a:b]) for a, b in itertools.pairwise(ends))
    name = f"{reading} {dtype}{list(shape)}: {entry} -> " + ", ".join(f"{n.op_type} {n.output[0]}" for n in build.nodes)
    return Case(name, model, data, classes > 0, data[1][0], own[ends[1] : ends[2]])


def _model(build: _Builder, entry: str, shape: tuple[int, ...], outputs: list[str]) -> bytes:
    rng, kind = build.rng, TYPES[build.dtype]
    batch: Any = rng.choice(["n", "batch", "x"])
    infos = [helper.make_tensor_value_info(name, kind, ["rows", "columns"]) for name in outputs[:1]]
    infos += [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows"]) for name in outputs[1:]]
    graph = helper.make_graph(
        build.nodes, "graph", [helper.make_tensor_value_info(entry, kind, [str(batch), *shape])], infos, build.weights
    )
    opset = int(rng.choice([11, 13, 15, 17, 19, 21]))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _answers(model: bytes, x: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def _read(answers: Any, reading: str) -> Any:
    if reading == "best":
        return answers.argmax(1)
    column = answers.reshape(len(answers))
    return column if reading == "value" else (column > (0 if reading == "sign" else 0.5)).astype(np.int64)


def _noisy(rng: Rng, own: Any) -> Any:
    """The truth: the model's own answers, wrong in a few rows."""
    return np.where(rng.random(len(own)) < 0.1, rng.permutation(own), own)
