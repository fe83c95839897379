"""Chains of dense layers in an ONNX graph: which units can be taken out, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.technique import _graph
from trimwatt.workload import Array

# what acts on each unit by itself, so that leaving a unit out leaves the others as they are
_ELEMENTWISE = frozenset(
    {
        *("Abs", "Add", "BatchNormalization", "Cast", "Celu", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu"),
        *("HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu"),
        *("Pow", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Tanh", "ThresholdedRelu"),
    }
)


@dataclass(frozen=True)
class Chain:
    """A dense layer whose `units` outputs go, each by itself, through `between` into dense layers `after`.

    Nodes are held by name, since pruning one chain changes the nodes of the next.
    """

    layer: str
    units: int
    between: tuple[str, ...]
    after: tuple[str, ...]


def find(graph: Any) -> list[Chain]:
    """The chains of a graph with named nodes, in order; a layer whose units are an answer starts none."""
    known, takers = _graph.arrays(graph), _graph.takers(graph)
    chains = (_chain(node, known, takers) for node in graph.node if is_dense(node, known))
    return [chain for chain in chains if chain is not None]


def is_dense(node: Any, known: dict[str, Array]) -> bool:
    """Whether a node multiplies by a constant matrix, plainly."""
    if node.op_type not in ("Gemm", "MatMul") or node.input[0] in known:
        return False
    plain = not _graph.attribute(node, "transA", 0) and _graph.attribute(node, "alpha", 1.0) == 1.0
    plain = plain and _graph.attribute(node, "beta", 1.0) == 1.0
    bias_known = len(node.input) < 3 or not node.input[2] or node.input[2] in known
    return plain and bias_known and node.input[1] in known and known[node.input[1]].ndim == 2


def _chain(layer: Any, known: dict[str, Array], takers: dict[str, list[Any]]) -> Chain | None:
    units = weight(layer, known).shape[1]
    values, between, after, waiting = {layer.output[0]}, [], [], [layer.output[0]]
    while waiting:
        for node in takers[waiting.pop()]:
            if node is None:
                return None
            if node.name in between or node.name in after:
                continue
            if is_dense(node, known) and node.input[0] in values:
                after.append(node.name)
            elif node.op_type in _ELEMENTWISE and len(node.output) == 1:
                between.append(node.name)
                values.add(node.output[0])
                waiting.append(node.output[0])
            else:
                return None
    nodes = {node.name: node for found in takers.values() for node in found if node is not None}
    whole = all(_separable(nodes[name], values, known, units) for name in between)
    return Chain(layer.name, units, tuple(between), tuple(after)) if after and whole else None


def _separable(node: Any, values: set[str], known: dict[str, Array], units: int) -> bool:
    """Whether everything else that `node` takes is one number, or one for each unit."""
    others = [name for name in node.input if name and name not in values]
    return all(name in known and _by_unit(known[name], units) is not None for name in others)


def _by_unit(array: Array, units: int) -> bool | None:
    """True for one number a unit, False for one number, None for anything else."""
    if array.size == 1:
        return False
    return True if array.shape[-1] == array.size == units else None


def weight(node: Any, known: dict[str, Array]) -> Array:
    """The matrix (in, out) of a dense node, float64."""
    matrix = known[node.input[1]].astype(np.float64)
    return matrix.T if _graph.attribute(node, "transB", 0) else matrix


def bias(graph: Any, node: Any) -> tuple[Any, int, Array] | None:
    """Where a dense node's bias (out,) is kept: (node, place among its inputs, bias); None where it has no place."""
    known = _graph.arrays(graph)
    out = weight(node, known).shape[1]
    if node.op_type == "Gemm":
        if len(node.input) < 3 or not node.input[2]:
            return node, 2, np.zeros(out)
        return node, 2, np.broadcast_to(known[node.input[2]].reshape(-1), (out,)).astype(np.float64)
    following = _graph.takers(graph)[node.output[0]]
    if len(following) != 1 or following[0] is None or following[0].op_type != "Add":
        return None
    place = 1 if following[0].input[0] == node.output[0] else 0
    kept = known.get(following[0].input[place])
    if kept is None or _by_unit(kept, out) is None:
        return None
    return following[0], place, np.broadcast_to(kept.reshape(-1), (out,)).astype(np.float64)


def shrink(graph: Any, chain: Chain, kept: Array) -> None:
    """Leave only units `kept` in a chain's first layer and in what acts on its units (in place)."""
    known, nodes = _graph.arrays(graph), {node.name: node for node in graph.node}
    layer = nodes[chain.layer]
    set_weight(graph, layer, weight(layer, known)[:, kept])
    if layer.op_type == "Gemm" and len(layer.input) > 2 and layer.input[2]:
        _slice(graph, layer, 2, known, chain.units, kept)
    for name in chain.between:
        for place, source in enumerate(nodes[name].input):
            if source in known:
                _slice(graph, nodes[name], place, known, chain.units, kept)


def _slice(graph: Any, node: Any, place: int, known: dict[str, Array], units: int, kept: Array) -> None:
    array = known[node.input[place]]
    if _by_unit(array, units):
        content = array[..., kept]
        node.input[place] = _graph.constant(graph, f"{node.name}/{place}/kept", content, array.dtype)


def set_weight(graph: Any, node: Any, matrix: Array) -> None:
    """Give a dense node the matrix (in, out) (in place)."""
    stored = matrix.T if _graph.attribute(node, "transB", 0) else matrix
    node.input[1] = _graph.constant(graph, f"{node.name}/weight", np.ascontiguousarray(stored), np.float32)


def set_bias(graph: Any, node: Any, values: Array) -> None:
    """Give a dense node the bias (out,), where it has a place for one (in place)."""
    found = bias(graph, node)
    if found is None:
        return
    holder, place, _ = found
    if len(holder.input) <= place:
        holder.input.append("")
    holder.input[place] = _graph.constant(graph, f"{node.name}/bias", values, np.float32)
