"""Grids of few levels for weights, and weights stored on them as an ONNX graph reads them."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.framework.onnx import _edit
from trimwatt.technique import _graph
from trimwatt.workload import Array

_INT4, _INT4_OPSET = 22, 21


def top(bits: int) -> int:
    """The largest level of a symmetric grid: 7 of 4 bits, 127 of 8."""
    return int(2 ** (bits - 1) - 1)


def steps(matrix: Array, bits: int, block: int | None, importance: Array | None = None) -> Array:
    """The distance between levels for each weight of `matrix` (out, features), the same in each block of features.

    Of several, from that which spans all weights down to half of it, the one whose squared rounding error is least;
    importance (features,) weighs the errors. block: None takes a whole row.
    """
    out, count = matrix.shape
    size = block or count
    spare = -count % size
    parts = np.pad(matrix, [(0, 0), (0, spare)]).reshape(out, -1, size)
    weigh = np.pad(np.ones(count) if importance is None else importance, (0, spare)).reshape(1, -1, size)
    widest = np.abs(parts).max(axis=2, keepdims=True) / top(bits)
    widest = np.where(widest == 0, 1.0, widest)
    best, least = widest, np.full(widest.shape, np.inf)
    for share in np.linspace(1, 0.5, 21 if bits < 8 else 6):
        step = widest * share
        error = (weigh * np.square(parts - step * np.clip(np.rint(parts / step), -top(bits), top(bits)))).sum(
            axis=2, keepdims=True
        )
        best, least = np.where(error < least, step, best), np.minimum(error, least)
    # stored as float32, so that rounding meets the very steps the graph reads
    return np.repeat(best.astype(np.float32).astype(np.float64), size, axis=2).reshape(out, -1)[:, :count]


def nearest(matrix: Array, step: Array, bits: int) -> Array:
    """The nearest levels (whole numbers, float64)."""
    return np.clip(np.rint(matrix / step), -top(bits), top(bits))


def store(graph: Any, node: Any, levels: Array, step: Array, bits: int, block: int | None) -> None:
    """Let `node` read its weights from `levels` (out, features) times `step` (in place).

    Dense weights come as (in, out), the layout that ONNX Runtime turns into one operator on packed weights.
    """
    shape = _graph.arrays(graph)[node.input[1]].shape
    convolution = node.op_type == "Conv"
    content = (levels.reshape(shape) if convolution else levels.T).astype(np.int8)
    if not convolution:
        set_attribute(node, "transB", None)
    scale = step[:, :: block or step.shape[1]]
    scale = scale[:, 0] if block is None else scale.T
    inputs = [_put(graph, f"{node.name}/levels", content, bits)]
    inputs.append(_graph.constant(graph, f"{node.name}/step", scale, np.float32))
    axis: dict[str, int] = {"axis": 0 if convolution else 1}
    if block is not None:
        axis = {"axis": 0, "block_size": block}
    reader = _graph.node("DequantizeLinear", inputs, f"{node.name}/read", **axis)
    _graph.put(graph, _graph.index(graph, node), [reader])
    place = _graph.index(graph, node)
    graph.node[place].input[1] = reader.output[0]
    if node.op_type == "Gemm":
        _apart(graph, place)


def _apart(graph: Any, place: int) -> None:
    """A dense layer as a product, and its bias taken away negative (in place).

    A layer with an activation behind it, or a product with a sum, is fused by ONNX Runtime before it looks for packed
    weights, which it then unpacks for each answer: 20 to 30 times the cost. A difference it leaves alone.
    """
    node = graph.node[place]
    output, bias = node.output[0], list(node.input[2:])
    node.op_type = "MatMul"
    del node.attribute[:]
    if not bias:
        return
    del node.input[2:]
    node.output[0] = f"{output}/product"
    known = _graph.arrays(graph)
    if bias[0] in known:
        other = _graph.constant(graph, f"{node.name}/taken", -known[bias[0]], known[bias[0]].dtype)
    else:
        negative = _graph.node("Neg", bias, f"{output}/taken")
        _graph.put(graph, place, [negative])
        other, place = negative.output[0], place + 1
    _graph.put(graph, place + 1, [_graph.node("Sub", [f"{output}/product", other], output)])


def opened(model: Any, bits: int) -> Any:
    """The model at an opset that knows numbers of so many bits."""
    return _edit.at_opset(model, _INT4_OPSET) if bits == 4 else model


def _put(graph: Any, name: str, content: Array, bits: int) -> str:
    if bits == 8:
        return _graph.constant(graph, name, content, np.int8)
    stored = _graph.constant(graph, name, np.zeros(0), np.int8)
    tensor = next(tensor for tensor in graph.initializer if tensor.name == stored)
    flat = content.reshape(-1).astype(np.uint8) & 15
    flat = np.pad(flat, (0, len(flat) % 2))
    del tensor.dims[:]
    tensor.dims.extend(content.shape)
    tensor.data_type, tensor.raw_data = _INT4, (flat[::2] | (flat[1::2] << 4)).astype(np.uint8).tobytes()
    return stored


def set_attribute(node: Any, name: str, content: int | None) -> None:
    """Give a node's attribute a whole number, or none (in place)."""
    from onnx import helper

    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend(kept if content is None else [*kept, helper.make_attribute(name, content)])
