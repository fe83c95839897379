"""Trees send a missing number the way its filling would go, which spares filling it in first."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.workload import Array

_MODES = {b"BRANCH_LEQ", b"LEAF"}


def fold(graph: Any) -> None:
    """Where numbers are filled in for one ensemble of trees alone, let its nodes know where each filling goes
    (in place); what the graph answers is the same to the bit.
    """
    for node in graph.node:
        if node.op_type in ("TreeEnsembleRegressor", "TreeEnsembleClassifier"):
            _fold(graph, node)


def _fold(graph: Any, trees: Any) -> None:
    attributes = {attribute.name: attribute for attribute in trees.attribute}
    if not set(attributes["nodes_modes"].strings) <= _MODES:
        return
    makers = {name: node for node in graph.node for name in node.output}
    side = makers.get(trees.input[0])
    side = side if side is not None and _alone(graph, side) and _side_by_side(side) else None
    filled = makers.get(side.input[0] if side is not None else trees.input[0])
    found = _filling(graph, filled, makers)
    if filled is None or found is None:
        return
    mark, fill = found
    _send(attributes, trees, fill)
    source = makers.get(filled.input[2])
    _replace(trees if side is None else side, filled.output[0], [filled.input[2]])
    graph.node.remove(filled)
    graph.node.remove(mark)
    if side is not None and source is not None and _side_by_side(source) and _alone(graph, source):
        _replace(side, source.output[0], list(source.input))
        graph.node.remove(source)


def _filling(graph: Any, filled: Any, makers: dict[str, Any]) -> tuple[Any, Array] | None:
    """The node that finds what is missing, and what `filled` puts there (features,)."""
    from onnx import numpy_helper

    if filled is None or filled.op_type != "Where" or not _alone(graph, filled):
        return None
    mark = makers.get(filled.input[0])
    fill = next((tensor for tensor in graph.initializer if tensor.name == filled.input[1]), None)
    if mark is None or mark.op_type != "IsNaN" or fill is None or mark.input[0] != filled.input[2]:
        return None
    return (mark, numpy_helper.to_array(fill).reshape(-1)) if _alone(graph, mark) else None


def _send(attributes: dict[str, Any], trees: Any, fill: Array) -> None:
    """Say for each node that asks for a number below len(fill) which way a missing one goes."""
    from onnx import helper

    feature = np.asarray(attributes["nodes_featureids"].ints)
    threshold = np.asarray(attributes["nodes_values"].floats, dtype=np.float32)
    old = attributes.get("nodes_missing_value_tracks_true")
    goes = np.zeros(len(feature), dtype=np.int64) if old is None else np.asarray(old.ints, dtype=np.int64)
    asked = feature < len(fill)
    goes[asked] = fill.astype(np.float32)[feature[asked]] <= threshold[asked]
    if old is not None:
        trees.attribute.remove(old)
    trees.attribute.append(helper.make_attribute("nodes_missing_value_tracks_true", goes.tolist()))


def _side_by_side(node: Any) -> bool:
    return node.op_type == "Concat" and [a.i for a in node.attribute if a.name == "axis"] == [1]


def _alone(graph: Any, node: Any) -> bool:
    """Whether its output is taken once, and not by a caller."""
    name = node.output[0]
    taken = sum(list(taker.input).count(name) for taker in graph.node)
    return taken == 1 and all(entry.name != name for entry in graph.output)


def _replace(node: Any, name: str, names: list[str]) -> None:
    node.input[:] = [new for old in node.input for new in (names if old == name else [old])]
