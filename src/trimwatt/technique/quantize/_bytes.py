"""8-bit rows that a dense layer reads: their scale becomes that of the layer's input, and nothing is converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.technique import _graph
from trimwatt.workload import Array

_MOVES = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


@dataclass(frozen=True)
class Reading:
    """What stands before a dense layer: it is given `factor * x + shift`, once `moves` have arranged x."""

    moves: list[Any]
    layer: Any
    factor: float
    shift: float


def read(model: Any) -> bool:
    """Let 8-bit rows enter the first dense layer as they are (in place); whether that could be done."""
    found = _found(model)
    if found is None:
        return False
    graph, known = model.graph, _graph.arrays(model.graph)
    zero = int(np.clip(np.rint(-found.shift / found.factor), 0, 255))
    value, nodes = graph.input[0].name, []
    for k, move in enumerate(found.moves):
        moved = type(move).FromString(move.SerializeToString())
        moved.input[0], moved.output[0] = value, f"bytes/{k}"
        value = moved.output[0]
        nodes.append(moved)
    parts = [value, _graph.constant(graph, "bytes/scale", found.factor, np.float32)]
    parts.append(_graph.constant(graph, "bytes/zero", zero, np.uint8))
    nodes.append(_graph.node("DequantizeLinear", parts, "bytes/read"))
    _shift_bias(graph, found.layer, known, found.factor * zero + found.shift)
    place = _graph.index(graph, found.layer)
    graph.node[place].input[0] = "bytes/read"
    _graph.put(graph, place, nodes)
    _graph.drop_unused(graph)
    return True


def _found(model: Any) -> Reading | None:
    graph, known = model.graph, _graph.arrays(model.graph)
    entry, takers = graph.input[0], _graph.takers(graph)
    if len(graph.input) != 1 or entry.type.tensor_type.elem_type != 2:  # uint8
        return None
    value, factor, shift = entry.name, 1.0, 0.0
    moves: list[Any] = []
    while True:
        following = [taker for taker in takers[value] if taker is None or taker.op_type != "Shape"]
        if len(following) != 1 or following[0] is None:
            return None
        node = following[0]
        if node.op_type == "Gemm":
            return Reading(moves, node, factor, shift) if _shiftable(node, known, factor) else None
        if node.op_type in _MOVES and all(name in known for name in node.input[1:]):
            moves.append(node)
        elif node.op_type != "Cast" or _graph.attribute(node, "to") != 1:
            step = _scaled(node, value, factor, shift, known)
            if step is None:
                return None
            factor, shift = step
        value = node.output[0]


def _shiftable(node: Any, known: dict[str, Array], factor: float) -> bool:
    plain = _graph.attribute(node, "alpha", 1.0) == 1.0 and _graph.attribute(node, "beta", 1.0) == 1.0
    biased = len(node.input) > 2 and node.input[2] in known
    return factor > 0 and plain and biased and node.input[1] in known and not _graph.attribute(node, "transA", 0)


def _scaled(node: Any, value: str, factor: float, shift: float, known: dict[str, Array]) -> tuple[float, float] | None:
    """Factor and shift behind a node that adds or multiplies by one number."""
    other = next((known.get(name) for name in node.input if name != value), None)
    if other is None or other.size != 1:
        return None
    number, first = float(other.reshape(())), node.input[0] == value
    if node.op_type == "Mul":
        return factor * number, shift * number
    if node.op_type == "Add":
        return factor, shift + number
    if node.op_type == "Sub" and first:
        return factor, shift - number
    return (factor / number, shift / number) if node.op_type == "Div" and first and number else None


def _shift_bias(graph: Any, layer: Any, known: dict[str, Array], rest: float) -> None:
    """Add what the zero point, a whole number, leaves of the shift."""
    if rest == 0:
        return
    weight = known[layer.input[1]].astype(np.float64)
    out = weight if _graph.attribute(layer, "transB", 0) else weight.T
    bias = np.broadcast_to(known[layer.input[2]].reshape(-1), (len(out),)) + rest * out.sum(axis=1)
    layer.input[2] = _graph.constant(graph, "bytes/bias", bias, np.float32)
