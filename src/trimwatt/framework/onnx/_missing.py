"""Trees send a missing number the way its imputed value would go, which spares imputing it first."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.framework.onnx._edit import shape_of, used
from trimwatt.workload import Array

_MODES = {b"BRANCH_LEQ", b"LEAF"}
_ASKED = ("nodes_modes", "nodes_featureids", "nodes_values")


def fold(graph: Any) -> None:
    """Where numbers are imputed for one ensemble of trees alone, let its nodes know where each imputed value goes
    (in place); what the graph answers is the same to the bit.
    """
    for node in list(graph.node):
        if node.op_type in ("TreeEnsembleRegressor", "TreeEnsembleClassifier"):
            _fold(graph, node)


def _fold(graph: Any, trees: Any) -> None:
    attributes = {attribute.name: attribute for attribute in trees.attribute}
    if not all(name in attributes for name in _ASKED) or not set(attributes["nodes_modes"].strings) <= _MODES:
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
    _remove(graph, filled, mark)
    if side is not None and source is not None and _side_by_side(source) and _alone(graph, source):
        _replace(side, source.output[0], list(source.input))
        _remove(graph, source)


def _filling(graph: Any, filled: Any, makers: dict[str, Any]) -> tuple[Any, Array] | None:
    """The node that finds what is missing, and what `filled` puts there (features,)."""
    from onnx import numpy_helper

    if filled is None or filled.op_type != "Where" or not _alone(graph, filled):
        return None
    mark = makers.get(filled.input[0])
    fill = next((tensor for tensor in graph.initializer if tensor.name == filled.input[1]), None)
    if mark is None or mark.op_type != "IsNaN" or fill is None or mark.input[0] != filled.input[2]:
        return None
    values = numpy_helper.to_array(fill).reshape(-1)
    each = values.dtype == np.float32 and _width(graph, filled.input[2], makers) == len(values)
    return (mark, values) if each and _alone(graph, mark) else None


def _width(graph: Any, name: str, makers: dict[str, Any]) -> int | None:
    """Columns of a value, as far as they follow from the graph's inputs."""
    node = makers.get(name)
    if node is None:
        shape = next((shape_of(entry) for entry in graph.input if entry.name == name), [])
        return shape[1] if len(shape) == 2 else None
    if node.op_type == "Cast":
        return _width(graph, node.input[0], makers)
    widths = [_width(graph, part, makers) for part in node.input] if _side_by_side(node) else [None]
    return None if None in widths else sum(widths)  # type: ignore[arg-type]


def _send(attributes: dict[str, Any], trees: Any, fill: Array) -> None:
    """Say for each node that asks for a number below len(fill) which way a missing one goes."""
    from onnx import helper

    feature = np.asarray(attributes["nodes_featureids"].ints)
    threshold = np.asarray(attributes["nodes_values"].floats, dtype=np.float32)
    old = attributes.get("nodes_missing_value_tracks_true")
    goes = np.zeros(len(feature), dtype=np.int64) if old is None else np.asarray(old.ints, dtype=np.int64)
    branch = np.asarray([mode == b"BRANCH_LEQ" for mode in attributes["nodes_modes"].strings])
    asked = branch & (feature < len(fill))
    # where NaN stays NaN, the trees have learnt where it goes
    asked[asked] = ~np.isnan(fill[feature[asked]])
    goes[asked] = fill[feature[asked]] <= threshold[asked]
    if old is not None:
        trees.attribute.remove(old)
    trees.attribute.append(helper.make_attribute("nodes_missing_value_tracks_true", goes.tolist()))


def _side_by_side(node: Any) -> bool:
    return node.op_type == "Concat" and [a.i for a in node.attribute if a.name == "axis"] == [1]


def _alone(graph: Any, node: Any) -> bool:
    """Whether its output is taken once, and not by a caller."""
    name = node.output[0]
    takers = [taker for taker in graph.node if name in used(taker)]
    return (
        len(takers) == 1
        and list(takers[0].input).count(name) == 1
        and all(entry.name != name for entry in graph.output)
    )


def _replace(node: Any, name: str, names: list[str]) -> None:
    node.input[:] = [new for old in node.input for new in (names if old == name else [old])]


def _remove(graph: Any, *nodes: Any) -> None:
    """Without these nodes and the constants that only they read."""
    mine = {name for node in nodes for name in node.input}
    for node in nodes:
        graph.node.remove(node)
    left = mine - {name for node in graph.node for name in used(node)}
    for tensor in [tensor for tensor in graph.initializer if tensor.name in left]:
        graph.initializer.remove(tensor)
