"""ONNX models of one layer, a few times side by side, to be timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trimwatt.framework.torch.shapes import LayerShape
from trimwatt.workload import Array

OPSET, SCALE = 17, np.float32(0.02)


def layer_model(shape: LayerShape, inputs: int, outputs: int, copies: int, int8: bool) -> tuple[bytes, Array]:
    """(model, rows it takes): `copies` layers of that width, each with weights of its own, read `x`; they are summed.

    The difference between few and many copies is the layer, without the runtime's call and without what all copies
    share: the reordering of rows, and before a convolution another one, of 1 by 1 from one channel, so that the layer
    finds its input in blocks of channels as it does inside a network; from rows it would be computed in another way.
    int8: with QuantizeLinear and DequantizeLinear around each, uint8 in and out.
    """
    from onnx import TensorProto, helper

    rng = np.random.default_rng(0)
    made = _Graph(rng, int8)
    channels = outputs if shape.depthwise else inputs
    value = made.read("x")
    if shape.kind == "conv":
        value = made.layer(_before(shape), value, 1, channels, "before")
    answers = [made.layer(shape, value, inputs, outputs, f"{copy}") for copy in range(copies)]
    while len(answers) > 1:
        answers.append(made.added(answers.pop(0), answers.pop(0)))
    made.written(answers[0], "y")
    size = [shape.rows[0], 1, *shape.rows[1:]] if shape.kind == "conv" else [*shape.rows, channels]
    kind = TensorProto.UINT8 if int8 else TensorProto.FLOAT
    graph = helper.make_graph(
        made.nodes, "layer", [helper.make_tensor_value_info("x", kind, size)],
        [helper.make_tensor_value_info("y", kind, None)], made.constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    rows = rng.integers(0, 255, size).astype(np.uint8) if int8 else rng.random(size, dtype=np.float32)
    return bytes(model.SerializeToString()), rows


def _before(shape: LayerShape) -> LayerShape:
    ones, zeros = (1,) * len(shape.kernel), (0,) * len(shape.kernel)
    return replace(shape, kernel=ones, stride=ones, padding=zeros, dilation=ones, groups=1)


class _Graph:
    """Nodes and constants as they are added."""

    def __init__(self, rng: np.random.Generator, int8: bool) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._rng, self._int8 = rng, int8

    def read(self, name: str) -> str:
        """A value to compute with, of what is stored."""
        return self._node("DequantizeLinear", [name, *self._step("u", np.uint8)], f"{name}/f") if self._int8 else name

    def written(self, name: str, output: str) -> str:
        """A computed value as it is stored."""
        if self._int8:
            return self._node("QuantizeLinear", [name, *self._step("u", np.uint8)], output)
        return self._node("Identity", [name], output)

    def added(self, one: str, other: str) -> str:
        """The sum of two values."""
        return self._stored(self._node("Add", [one, other], f"{one}+{other}"[-60:] + f"/{len(self.nodes)}"))

    def layer(self, shape: LayerShape, value: str, inputs: int, outputs: int, name: str) -> str:
        """One layer on `value`."""
        bias = self._bias(name, outputs)
        if shape.kind == "conv":
            weight = self._weight(name, (outputs, inputs, *shape.kernel), 0)
            # a width of one group each is a depthwise layer at any number of channels
            groups = outputs if shape.depthwise else 1
            made = self._node(
                "Conv", [value, weight, bias], f"c{name}", strides=list(shape.stride), group=groups,
                pads=list(shape.padding) * 2, dilations=list(shape.dilation),
            )  # fmt: skip
        elif len(shape.rows) == 1:
            made = self._node("Gemm", [value, self._weight(name, (inputs, outputs), 1), bias], f"c{name}")
        else:
            made = self._node("MatMul", [value, self._weight(name, (inputs, outputs), 1)], f"c{name}")
        return self._stored(made)

    def _stored(self, value: str) -> str:
        return self.read(self.written(value, f"{value}/q")) if self._int8 else value

    def _weight(self, name: str, size: Sequence[int], axis: int) -> str:
        if not self._int8:
            return self._constant(f"w{name}", self._rng.standard_normal(size).astype(np.float32) / 50)
        weight = self._constant(f"w{name}", self._rng.integers(-127, 127, size).astype(np.int8))
        scale = self._constant(f"ws{name}", np.full(size[axis], SCALE))
        zero = self._constant(f"wz{name}", np.zeros(size[axis], np.int8))
        return self._node("DequantizeLinear", [weight, scale, zero], f"w{name}/f", axis=axis)

    def _bias(self, name: str, outputs: int) -> str:
        if not self._int8:
            return self._constant(f"b{name}", self._rng.standard_normal(outputs).astype(np.float32))
        bias = self._constant(f"b{name}", self._rng.integers(-99, 99, outputs).astype(np.int32))
        scale = self._constant(f"bs{name}", np.full(outputs, SCALE * SCALE))
        zero = self._constant(f"bz{name}", np.zeros(outputs, np.int32))
        return self._node("DequantizeLinear", [bias, scale, zero], f"b{name}/f", axis=0)

    def _step(self, name: str, kind: type) -> list[str]:
        known = {constant.name for constant in self.constants}
        if f"{name}/scale" not in known:
            self._constant(f"{name}/scale", SCALE)
            self._constant(f"{name}/zero", kind(128))
        return [f"{name}/scale", f"{name}/zero"]

    def _constant(self, name: str, content: Any) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(content), name))
        return name

    def _node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output
