"""Channels of an ONNX graph that one layer makes and one layer takes: which can go, and how they are cut out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.technique import _graph
from trimwatt.technique.quantize import _grid, _layers
from trimwatt.workload import Array

# what acts on each number by itself
_EACH = frozenset({
    "Abs", "Add", "Cast", "Celu", "Clip", "Div", "Dropout", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish",
    "Identity", "LeakyRelu", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Relu", "Selu", "Sigmoid", "Softplus",
    "Softsign", "Sqrt", "Sub", "Tanh", "ThresholdedRelu",
})  # fmt: skip
_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})


@dataclass(frozen=True)
class Chain:
    """A layer of `channels` outputs that go through `between`, channel by channel, into the layer `after` alone."""

    layer: str
    channels: int
    between: tuple[str, ...]
    after: str


def find(graph: Any) -> list[Chain]:
    """The chains of a graph with named nodes, in order."""
    known, takers = _graph.arrays(graph), _graph.takers(graph)
    plain = {node.name: node for node in _layers.plain(graph)}
    walks = (_Walk(node, known, takers, plain) for node in plain.values() if _layers.groups(node) == 1)
    return [chain for chain in (walk.chain() for walk in walks) if chain is not None]


class _Walk:
    """Follows what a layer makes; `axis` holds for each value where its channels lie, counted from the end."""

    def __init__(
        self, layer: Any, known: dict[str, Array], takers: dict[str, list[Any]], plain: dict[str, Any]
    ) -> None:
        self.layer, self.known, self.takers, self.plain = layer, known, takers, plain
        weight = known[layer.input[1]]
        self.channels = len(_layers.matrix(layer, weight))
        self.axis = {layer.output[0]: 1 - weight.ndim if layer.op_type == "Conv" else -1}
        self.pictures = layer.op_type == "Conv"
        self.between: list[Any] = []
        self.after: set[str] = set()

    def chain(self) -> Chain | None:
        """The chain; None where channels go elsewhere too, or are mixed on the way."""
        waiting = list(self.axis)
        while waiting:
            value = waiting.pop()
            for node in self.takers[value]:
                if node is None or not self._passes(node, value):
                    return None
                if node.name not in self.after and node.output[0] not in self.axis:
                    self.axis[node.output[0]] = self._axis(node, value)
                    self.between.append(node)
                    waiting.append(node.output[0])
        complete = all(self._complete(node) for node in self.between)
        if len(self.after) != 1 or not complete:
            return None
        (after,) = self.after
        return Chain(self.layer.name, self.channels, tuple(node.name for node in self.between), after)

    def _passes(self, node: Any, value: str) -> bool:
        """Whether a node keeps channels apart, or is the layer that takes them (which is noted)."""
        whole = self.axis[value] == -1
        if node.name in self.plain and node.input[0] == value and self._takes(node, whole):
            self.after.add(node.name)
            return True
        if node.op_type == "Conv":
            return node.name in self.plain and node.input[0] == value and self._depthwise(node)
        if node.op_type == "Flatten":
            return self.pictures and not whole and _graph.attribute(node, "axis", 1) == 1
        if node.op_type in _POOLS or node.op_type == "BatchNormalization":
            return not whole
        return node.op_type in _EACH and len(node.output) == 1

    def _takes(self, node: Any, whole: bool) -> bool:
        weight = self.known[node.input[1]]
        if node.op_type == "Conv":
            return not whole and _layers.groups(node) == 1 and weight.shape[1] == self.channels
        return whole and _layers.matrix(node, weight).shape[1] % self.channels == 0

    def _depthwise(self, node: Any) -> bool:
        return _layers.groups(node) == self.channels == len(self.known[node.input[1]])

    def _axis(self, node: Any, value: str) -> int:
        return -1 if node.op_type == "Flatten" else self.axis[value]

    def _complete(self, node: Any) -> bool:
        """Whether all else that a node takes is of the chain, one number, or one number a channel."""
        others = [name for name in node.input if name and name not in self.axis]
        if node.op_type in ("BatchNormalization", "Conv"):
            return all(name in self.known for name in others)
        return all(name in self.known and self._fits(self.known[name], self.axis[node.output[0]]) for name in others)

    def _fits(self, array: Array, axis: int) -> bool:
        if array.size == 1:
            return True
        return array.size == self.channels and array.ndim >= -axis and array.shape[axis] == self.channels


def cut(graph: Any, chain: Chain, kept: Array) -> None:
    """Leave only channels `kept` in a chain's layer and in what acts on its channels (in place)."""
    nodes, known = {node.name: node for node in graph.node}, _graph.arrays(graph)
    layer = nodes[chain.layer]
    _rows(graph, layer, known, kept)
    for name in chain.between:
        node = nodes[name]
        if node.op_type == "Conv":
            _rows(graph, node, known, kept)
            _grid.set_attribute(node, "group", len(kept))
            continue
        for place, source in enumerate(node.input):
            if source in known and known[source].size == chain.channels > 1:
                content = np.take(known[source], kept, axis=int(np.argmax(known[source].shape)))
                node.input[place] = _graph.constant(graph, f"{name}/{place}/kept", content, content.dtype)


def _rows(graph: Any, node: Any, known: dict[str, Array], kept: Array) -> None:
    """Leave only outputs `kept` of a layer (in place)."""
    weight = known[node.input[1]]
    inputs = _graph.attribute(node, "transB", 0) or node.op_type == "Conv"
    content = weight[kept] if inputs else weight[:, kept]
    node.input[1] = _graph.constant(graph, f"{node.name}/kept", content, np.float32)
    if len(node.input) > 2 and node.input[2] and known[node.input[2]].size > 1:
        bias = known[node.input[2]].reshape(-1)[kept]
        node.input[2] = _graph.constant(graph, f"{node.name}/kept bias", bias, np.float32)


def give(graph: Any, node: Any, weights: Array, shape: tuple[int, ...], bias: Array | None) -> None:
    """Give a layer weights (out, features) of a stored `shape`, and a bias (out,), if any (in place)."""
    content = _layers.arranged(node, weights, shape)
    node.input[1] = _graph.constant(graph, f"{node.name}/fitted", content, np.float32)
    if bias is not None:
        del node.input[2:]
        node.input.append(_graph.constant(graph, f"{node.name}/fitted bias", bias, np.float32))
