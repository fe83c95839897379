"""Where a graph meets the quantizer, and a quantized graph the outside."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.technique import _graph

_ACTIVATIONS = ("Clip", "LeakyRelu", "Relu", "Sigmoid", "Tanh")


def flatten_biases(graph: Any) -> None:
    """Biases (1, out) as (out,) (in place): the quantizer knows no others."""
    known = _graph.arrays(graph)
    for node in graph.node:
        bias = known.get(node.input[2]) if node.op_type == "Gemm" and len(node.input) > 2 else None
        if bias is not None and bias.ndim != 1:
            out = known[node.input[1]].shape[0 if _graph.attribute(node, "transB", 0) else 1]
            flat = np.broadcast_to(bias.reshape(-1), (out,))
            node.input[2] = _graph.constant(graph, f"{node.output[0]}/bias", flat, bias.dtype)


def open_edges(model: Any, kinds: frozenset[str]) -> None:
    """Drop conversions that nothing needs (in place). kinds: operators that have an int8 kernel."""
    _take_bytes_as_they_are(model.graph)
    _answer_in_float(model.graph, kinds)
    stay_float(model.graph)


def stay_float(graph: Any) -> None:
    """Put a clip that clips nothing before float layers between quantized values (in place).

    ONNX Runtime takes a float layer that reads and feeds 8-bit values for one that was forgotten, and rounds its
    weights by itself, with one step for all: worse than if it had been quantized. A node in between stops it.
    """
    makers, takers, known = _graph.makers(graph), _graph.takers(graph), _graph.arrays(graph)
    for node in _graph.layers(graph):
        reader = makers.get(node.input[0])
        if reader is None or reader.op_type != "DequantizeLinear" or known[node.input[1]].dtype != np.float32:
            continue
        following = takers[node.output[0]]
        while len(following) == 1 and following[0] is not None and following[0].op_type in _ACTIVATIONS:
            following = takers[following[0].output[0]]
        if any(taker is not None and taker.op_type == "QuantizeLinear" for taker in following):
            low = _graph.constant(graph, f"{node.name}/lowest", np.finfo(np.float32).min, np.float32)
            clip = _graph.node("Clip", [node.input[0], low], f"{node.name}/as it is")
            _graph.put(graph, _graph.index(graph, node), [clip])
            graph.node[_graph.index(graph, node)].input[0] = clip.output[0]


def _take_bytes_as_they_are(graph: Any) -> None:
    """8-bit values that are read as numbers only to be quantized again keep their own scale."""
    makers, takers, known = _graph.makers(graph), _graph.takers(graph), _graph.arrays(graph)
    for node in list(graph.node):
        reader = makers.get(node.input[0]) if node.op_type == "QuantizeLinear" else None
        if reader is None or reader.op_type != "DequantizeLinear" or len(reader.input) < 3:
            continue
        if known[reader.input[2]].dtype != known[node.input[2]].dtype:
            continue
        for taker in takers[node.output[0]]:
            taker.input[:] = reader.input
        graph.node.remove(node)


def _answer_in_float(graph: Any, kinds: frozenset[str]) -> None:
    """Sums of a dense layer that go to an answer or a float operator stay sums: 256 levels rank rows badly."""
    for reader in [node for node in graph.node if node.op_type == "DequantizeLinear"]:
        makers, takers = _graph.makers(graph), _graph.takers(graph)
        writer = makers.get(reader.input[0])
        layer = makers.get(writer.input[0]) if writer is not None and writer.op_type == "QuantizeLinear" else None
        if writer is None or layer is None or layer.op_type not in ("Gemm", "MatMul"):
            continue
        wanted = [taker for taker in takers[reader.output[0]] if taker is not None]
        alone = len(takers[writer.output[0]]) == 1 and len(takers[layer.output[0]]) == 1
        if not alone or any(taker.op_type in kinds for taker in wanted):
            continue
        graph.node.remove(reader)
        graph.node.remove(writer)
        layer.output[0] = reader.output[0]
