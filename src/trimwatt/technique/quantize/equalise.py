"""Cross-layer equalisation: channels of two layers are given like ranges, and no answer changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique import _graph
from trimwatt.technique._base import Maturity, Technique, applies_to
from trimwatt.technique.quantize import _layers
from trimwatt.workload import Array, Workload

# what gives s times as much for s times as much, s > 0, each channel by itself
_EVEN = frozenset({
    "AveragePool", "Dropout", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "Identity", "LeakyRelu", "MaxPool",
    "Relu",
})  # fmt: skip


@dataclass(frozen=True)
class Equalise(Technique):
    """Scale the channels between two layers so that both have weights of like range, before they are quantized.

    What one layer's channel is divided by, the next layer's weights for it are multiplied with; rectifiers and
    pooling between them let it pass, so answers stay as they are. It pays where one step serves a whole layer
    (`static-int8` with per_channel off, or activations of uneven channels). Clipped activations (ReLU6) and smooth
    ones let nothing pass. rounds: over all pairs, ended early when nothing moves.
    """

    name: ClassVar[str] = "equalise"
    maturity: ClassVar[Maturity] = "experimental"
    family: ClassVar[str] = "quantization"
    group: ClassVar[str] = "quantize"
    reference: ClassVar[str] = "Nagel et al. 2019, arXiv:1906.04721"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx"})
    gives: ClassVar[str | None] = "onnx"

    rounds: int = 20

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise InputError(f"rounds is a whole number from 1, got {self.rounds}")


@applies_to(Equalise, "onnx")
def _onnx(technique: Equalise, workload: Workload) -> Workload:
    require("onnxruntime", "onnx", "Equalising layers")
    model = _graph.tidy(workload.model)
    found = pairs(model.graph)
    if not found:
        raise TrialFailed(f"no two layers of this model have rectifiers alone between: {_graph.kinds(model.graph)}")
    known = _graph.arrays(model.graph)
    ends = {node.name: known[node.input[1]].astype(np.float64) for pair in found for node in pair}
    biases = {node.name: known[node.input[2]].astype(np.float64) for node, _ in found if len(node.input) > 2}
    for _ in range(technique.rounds):
        moved = [_equalised(before, after, ends, biases) for before, after in found]
        if max(moved) < 1e-3:
            break
    _write(model.graph, found, ends, biases)
    return replace(workload, model=_graph.finished(model))


def pairs(graph: Any) -> list[tuple[Any, Any]]:
    """Layers (before, after) where all that the first gives goes, channel by channel, into the second alone."""
    known, takers = _graph.arrays(graph), _graph.takers(graph)
    plain = {node.name: node for node in _layers.plain(graph)}
    uses: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            uses[name] = uses.get(name, 0) + 1
    found = []
    for node in plain.values():
        bias = node.input[2] if len(node.input) > 2 else None
        value, between = node.output[0], []
        while len(takers[value]) == 1 and takers[value][0] is not None and takers[value][0].op_type in _EVEN:
            between.append(takers[value][0])
            value = between[-1].output[0]
        after = takers[value][0] if len(takers[value]) == 1 else None
        owned = all(uses[name] == 1 for name in (node.input[1], bias) if name)
        if after is None or after.name not in plain or after.input[0] != value or not owned:
            continue
        if not _in_order(node, after, between):
            continue
        flat = bias is None or known[bias].ndim == 1
        if flat and uses[after.input[1]] == 1 and _shares(node, after, known) is not None:
            found.append((node, after))
    return found


def _in_order(before: Any, after: Any, between: list[Any]) -> bool:
    """Whether channels keep their place: pictures are flattened once, before dense layers and nowhere else."""
    flat = [_graph.attribute(node, "axis", 1) for node in between if node.op_type == "Flatten"]
    if before.op_type == "Conv":
        return not flat if after.op_type == "Conv" else flat == [1]
    return after.op_type != "Conv" and all("Pool" not in node.op_type for node in between) and not flat


def _shares(before: Any, after: Any, known: dict[str, Array]) -> int | None:
    """How many features of `after` each output of `before` becomes; None where they do not fit."""
    out = len(_layers.matrix(before, known[before.input[1]]))
    weight = known[after.input[1]]
    if after.op_type == "Conv":
        return 1 if weight.shape[1] * _layers.groups(after) == out else None
    count = _layers.matrix(after, weight).shape[1]
    return count // out if count % out == 0 else None


def _view(node: Any, weight: Array, channels: int) -> Array:
    """The weights as (groups, out, channels of a group, features of a channel)."""
    matrix, parts = _layers.matrix(node, weight), _layers.groups(node)
    return matrix.reshape(parts, len(matrix) // parts, channels // parts, -1)


def _equalised(before: Any, after: Any, ends: dict[str, Array], biases: dict[str, Array]) -> float:
    """Scale one pair (in `ends` and `biases`); by how much, in logarithms."""
    first = _layers.matrix(before, ends[before.name])
    second = _view(after, ends[after.name], len(first))
    mine, theirs = np.abs(first).max(axis=1), np.abs(second).max(axis=(1, 3)).reshape(-1)
    live = (mine > 0) & (theirs > 0)
    scale = np.sqrt(np.where(live, mine, 1) / np.where(live, theirs, 1))
    ends[before.name] = _layers.arranged(before, first / scale[:, None], ends[before.name].shape)
    scaled = second * scale.reshape(second.shape[0], 1, -1, 1)
    shape = ends[after.name].shape
    ends[after.name] = _layers.arranged(after, scaled.reshape(len(second) * second.shape[1], -1), shape)
    if before.name in biases:
        biases[before.name] = biases[before.name] / scale
    return float(np.abs(np.log(scale)).max())


def _write(graph: Any, found: list[tuple[Any, Any]], ends: dict[str, Array], biases: dict[str, Array]) -> None:
    for node in {node.name: node for pair in found for node in pair}.values():
        node.input[1] = _graph.constant(graph, f"{node.name}/equalised", ends[node.name], np.float32)
        if node.name in biases:
            node.input[2] = _graph.constant(graph, f"{node.name}/equalised bias", biases[node.name], np.float32)
