"""Bias correction: rounding moves the mean of a channel, and its bias can move it back (Nagel et al. 2019)."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from trimwatt.technique import _graph
from trimwatt.technique.quantize import _layers
from trimwatt.workload import Array

_log = logging.getLogger("trimwatt")


def add(graph: Any) -> None:
    """Give layers that have none a bias of zeros (in place), so that there is one to correct."""
    known = _graph.arrays(graph)
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm") and node.input[1] in known and len(node.input) < 3:
            out = len(_layers.matrix(node, known[node.input[1]]))
            node.input.append(_graph.constant(graph, f"{node.name}/bias", np.zeros(out), np.float32))


def correct(model: Any, source: Any, given: dict[str, Array]) -> None:
    """Let each layer of the quantized `model` give, on average over `given`, what it gives in `source` (in place).

    Layers are corrected in order, each with those before it corrected already, since their errors reach it too.
    Products without a bias are left and listed in the log.
    """
    nodes = {node.name: node for node in model.graph.node}
    layers = [node for node in _graph.layers(source.graph) if node.name in nodes]
    ready = [node for node in layers if node.op_type in ("Conv", "Gemm") and _holder(model.graph, nodes[node.name])]
    wanted = _layers.values(source, [node.output[0] for node in ready], given)
    for node, target in zip(ready, wanted, strict=True):
        twin = nodes[node.name]
        got = _layers.values(model, [twin.output[0]], given)[0]
        _move(model.graph, twin, _by_channel(target) - _by_channel(got))
    if left := [node.name for node in layers if node not in ready]:
        _log.info("without a bias to correct: %s", ", ".join(left))


def _by_channel(values: Array) -> Array:
    return np.asarray(values.mean(axis=(0, *range(2, values.ndim)), dtype=np.float64))


def _holder(graph: Any, node: Any) -> tuple[Any, int, float | Array] | None:
    """Which node's which input holds a layer's bias, and the step of its levels; None where it is shared."""
    known, takers = _graph.arrays(graph), _graph.takers(graph)
    name = node.input[2] if len(node.input) > 2 else ""
    if name in known:
        return node, 2, 1.0
    reader = _graph.makers(graph).get(name)
    if reader is None or reader.op_type != "DequantizeLinear" or len(takers[name]) != 1:
        return None
    return reader, 0, known[reader.input[1]].astype(np.float64)


def _move(graph: Any, node: Any, shift: Array) -> None:
    found = _holder(graph, node)
    if found is None:
        return
    holder, place, step = found
    old = _graph.arrays(graph)[holder.input[place]]
    new = old.reshape(-1) + (shift if place == 2 else np.rint(shift / step))
    if old.dtype.kind == "i":
        limits = np.iinfo(old.dtype)
        new = np.clip(new, limits.min, limits.max)
    holder.input[place] = _graph.constant(graph, f"{node.name}/corrected", new, old.dtype)
