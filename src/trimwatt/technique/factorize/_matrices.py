"""Dense layers of an ONNX graph: found, and put in again as two."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from trimwatt.technique import _graph
from trimwatt.technique.prune import _chains
from trimwatt.workload import Array


@dataclass(frozen=True, eq=False)
class Matrix:
    """A dense node: its weight (in, out) and bias (out,) if it has one, what it reads, at how many places of a row."""

    name: str
    source: str
    weight: Array
    bias: Array | None
    places: int


def matrices(model: Any, with_heads: bool) -> tuple[list[Matrix], dict[str, str]]:
    """The dense nodes that may be replaced, and why others may not, by name."""
    graph = model.graph
    known, sizes = _graph.arrays(graph), _graph.sizes(model)
    readers = Counter(name for node in graph.node for name in node.input)
    answering = set() if with_heads else _heads(graph)
    found, left = [], {}
    for node in _graph.layers(graph):
        if not _chains.is_dense(node, known):
            continue
        if node.name in answering:
            left[node.name] = "it gives the answer"
        elif readers[node.input[1]] > 1:
            left[node.name] = "it shares its weights"
        else:
            bias = _chains.bias(graph, node)
            has = bias is not None and len(bias[0].input) > bias[1]
            places = math.prod(size or 1 for size in sizes.get(node.input[0], [])[1:-1])
            weight = _chains.weight(node, known)
            found.append(Matrix(node.name, node.input[0], weight, bias[2] if bias and has else None, places))
    return found, left


def _heads(graph: Any) -> set[str]:
    """Layers that no other layer follows on the way to the answer."""
    makers, layers = _graph.makers(graph), {node.name for node in _graph.layers(graph)}
    waiting, seen, heads = [entry.name for entry in graph.output], set[str](), set[str]()
    while waiting:
        name = waiting.pop()
        node = makers.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.name in layers:
            heads.add(node.name)
        else:
            waiting += node.input
    return heads


def put_(graph: Any, name: str, first: Array, second: Array, bias: Array | None) -> None:
    """Let the node `name` work as `first` (r, in), then `second` (out, r) with `bias` (out,) (in place)."""
    import numpy as np

    node = next(node for node in graph.node if node.name == name)
    thin = _graph.constant(graph, f"{name}/first", first.T, np.float32)
    between = f"{name}/between"
    _graph.put(graph, _graph.index(graph, node), [_graph.node("MatMul", [node.input[0], thin], between)])
    node.input[0] = between
    _chains.set_weight(graph, node, second.T)
    if bias is not None:
        _chains.set_bias(graph, node, bias)
