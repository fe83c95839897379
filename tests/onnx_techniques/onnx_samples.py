"""Small models in ONNX that the tests of this folder quantize and prune."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from trimwatt import metric
from trimwatt.framework.onnx import lower
from trimwatt.testing import samples
from trimwatt.workload import Array, Data, Split, Workload


@cache
def mlp(activation: str = "relu", hidden: tuple[int, ...] = (48, 24)) -> Workload:
    """scikit-learn's MLP on digits, lowered: (n, 64) float64 in, probabilities (n, 10) out."""
    from sklearn.neural_network import MLPClassifier

    given = samples.digits()
    train = given.rows.train
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier(hidden, activation=activation, max_iter=80, random_state=0).fit(train.x, train.y)
    return lower(replace(given, model=model, form="sklearn", outputs="probabilities"))


@cache
def regression() -> Workload:
    """scikit-learn's MLP for a value in the tens of thousands, from named columns through fitted preprocessing."""
    from sklearn.neural_network import MLPRegressor

    from trimwatt.framework.prepare import fit_prepare

    given = samples.incomes()
    prepare, train = fit_prepare(given.rows, "scaled"), given.rows.train
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = MLPRegressor(hidden_layer_sizes=(32, 16), max_iter=200, random_state=0).fit(
            prepare.transform(train.x), train.y
        )
    return lower(replace(given, model=made, form="sklearn", prepare=prepare, outputs="values"))


def model(
    nodes: Sequence[Any], weights: dict[str, Array], shape: Sequence[Any], dtype: int = TensorProto.FLOAT
) -> bytes:
    """A serialized model from input `x` to output `y`."""
    graph = helper.make_graph(
        list(nodes), "made", [helper.make_tensor_value_info("x", dtype, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def job(model: bytes, x: Array, classes: int = 4) -> Workload:
    """A workload of rows `x` with labels drawn at random."""
    y = np.random.default_rng(0).integers(0, classes, len(x)).astype(np.int64)
    third = len(x) // 3
    parts = [Split(x[k * third : (k + 1) * third], y[k * third : (k + 1) * third]) for k in range(3)]
    kind = "image" if x.ndim > 2 else "table"
    data = Data(*parts, kind=kind, classes=tuple(range(classes)), name="made")
    return Workload(data, metric=metric.get("accuracy"), model=model, form="onnx")


def dense(seed: int, widths: Sequence[int], activation: str = "Relu") -> tuple[list[Any], dict[str, Array]]:
    """Nodes and weights of a chain of Gemm layers w0, b0, w1, b1, ... from `x` to `y`."""
    rng, nodes, weights, value = np.random.default_rng(seed), [], {}, "x"
    for k, (before, after) in enumerate(itertools.pairwise(widths)):
        weights[f"w{k}"] = (rng.normal(size=(before, after)) / before**0.5).astype(np.float32)
        weights[f"b{k}"] = rng.normal(0, 0.1, after).astype(np.float32)
        last = k == len(widths) - 2
        nodes.append(helper.make_node("Gemm", [value, f"w{k}", f"b{k}"], ["y" if last else f"s{k}"], name=f"layer{k}"))
        if not last:
            nodes.append(helper.make_node(activation, [f"s{k}"], [f"h{k}"], name=f"act{k}"))
            value = f"h{k}"
    return nodes, weights


def cnn(shape: Sequence[Any], order: Sequence[int] | None, outputs: int, stride: int, pads: int, grey: bool) -> bytes:
    """uint8 images, scaled by channel, through a 3x3 convolution, a shortcut that drops pixels, and a head."""
    rng, channels = np.random.default_rng(3), 1 if grey else 3
    weights = {
        "depth": np.float32(255),
        "mean": rng.uniform(0.3, 0.6, (channels, 1, 1)).astype(np.float32),
        "std": rng.uniform(0.2, 0.3, (channels, 1, 1)).astype(np.float32),
        "w": (rng.normal(size=(outputs, channels, 3, 3)) / 5).astype(np.float32),
        "b": rng.normal(0, 0.1, outputs).astype(np.float32),
        "v": (rng.normal(size=(2 * outputs, outputs, 3, 3)) / (3 * outputs**0.5)).astype(np.float32),
        "head": (rng.normal(size=(2 * outputs, 4)) / outputs**0.5).astype(np.float32),
        "zero2": np.zeros(2, np.int64), "far2": np.full(2, 2**63 - 1, np.int64),
        "hw": np.array([2, 3], np.int64), "two2": np.full(2, 2, np.int64), "one": np.array([1], np.int64),
        "around": np.array([0, outputs // 2, 0, 0, 0, outputs - outputs // 2, 0, 0], np.int64),
    }  # fmt: skip
    node, value, nodes = helper.make_node, "x", []
    if order is not None:
        nodes.append(node("Transpose", [value], ["t"], name="order", perm=list(order)))
        value = "t"
    if grey:
        nodes.append(node("Unsqueeze", [value, "one"], ["u"], name="channel"))
        value = "u"
    nodes += [
        node("Cast", [value], ["f"], name="cast", to=TensorProto.FLOAT),
        node("Div", ["f", "depth"], ["unit"], name="unit"),
        node("Sub", ["unit", "mean"], ["centred"], name="centre"),
        node("Div", ["centred", "std"], ["scaled"], name="scale"),
        node("Conv", ["scaled", "w", "b"], ["c"], name="first conv", pads=[pads] * 4, strides=[stride] * 2),
        node("Relu", ["c"], ["r"], name="relu"),
        node("Conv", ["r", "v"], ["d"], name="second conv", pads=[1] * 4, strides=[2, 2]),
        node("Slice", ["r", "zero2", "far2", "hw", "two2"], ["s"], name="every second"),
        node("Pad", ["s", "around"], ["p"], name="more channels"),
        node("Add", ["d", "p"], ["a"], name="shortcut"),
        node("Relu", ["a"], ["q"], name="relu again"),
        node("ReduceMean", ["q"], ["m"], name="mean", axes=[2, 3], keepdims=0),
        node("MatMul", ["m", "head"], ["y"], name="head"),
    ]
    used = {name for made in nodes for name in made.input}
    return model(nodes, {k: v for k, v in weights.items() if k in used}, shape, TensorProto.UINT8)
