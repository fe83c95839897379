"""Where a quantized graph meets the outside: pixels that are 8-bit already, scores that need not be."""

from __future__ import annotations

from typing import Any

from trimwatt.technique import _graph


def open_edges(model: Any) -> None:
    """Drop conversions that the ends of the graph do not need (in place)."""
    _take_bytes_as_they_are(model.graph)
    _answer_in_float(model.graph)


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


def _answer_in_float(graph: Any) -> None:
    """The last layer's sums become scores directly: 256 levels are too few to rank rows by."""
    for entry in graph.output:
        makers, takers = _graph.makers(graph), _graph.takers(graph)
        reader = makers.get(entry.name)
        writer = makers.get(reader.input[0]) if reader is not None else None
        layer = makers.get(writer.input[0]) if writer is not None else None
        if reader is None or writer is None or layer is None:
            continue
        chain = (layer.op_type, writer.op_type, reader.op_type)
        if chain[0] not in ("Gemm", "MatMul") or chain[1:] != ("QuantizeLinear", "DequantizeLinear"):
            continue
        if len(takers[writer.output[0]]) > 1 or len(takers[layer.output[0]]) > 1:
            continue
        graph.node.remove(reader)
        graph.node.remove(writer)
        layer.output[0] = entry.name
