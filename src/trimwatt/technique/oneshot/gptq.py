"""Rounding with compensation: weights on few levels, chosen so that the layer's answers stay, not each weight."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import _edit
from trimwatt.technique import _graph
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.oneshot import _second_order
from trimwatt.technique.quantize import _bias, _edges, _grid, _layers
from trimwatt.technique.quantize.static_int8 import StaticInt8, planned, quantized
from trimwatt.technique.quantize.weight_only import chosen
from trimwatt.workload import Array, Workload

_log = logging.getLogger("trimwatt")


@dataclass(frozen=True)
class Gptq(Technique):
    """Round weights to 8 or 4 bits, the error of each made up for by the next, on what training rows bring.

    activations: "uint8" or "int8" makes what `static-int8` makes (8 bits only), with weights rounded this way and
    biases corrected; "float" what `weight-only` makes. calibration_rows: training rows, without labels. damp: added
    to the diagonal of the Hessian, as a share of its mean. block: inputs that share a step, of 4 bits.
    convolutions: also theirs, where activations stay in float (see `weight-only`).
    """

    name: ClassVar[str] = "gptq"
    family: ClassVar[str] = "quantization"
    group: ClassVar[str] = "oneshot"
    shrinks: ClassVar[frozenset[str]] = frozenset({"bytes"})
    reference: ClassVar[str] = "Frantar et al. 2022, arXiv:2210.17323; Frantar and Alistarh 2022, arXiv:2208.11580"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx"})
    gives: ClassVar[str | None] = "onnx"

    bits: int = 8
    activations: Literal["uint8", "int8", "float"] = "uint8"
    calibration_rows: int = 200
    damp: float = 0.01
    block: int = 32
    convolutions: bool = False

    def __post_init__(self) -> None:
        if self.activations not in ("uint8", "int8", "float"):
            raise InputError(f"activations is 'uint8', 'int8' or 'float', got {self.activations!r}")
        if self.bits not in (4, 8) or (self.bits == 4 and self.activations != "float"):
            raise InputError(f"bits is 8, or 4 with activations='float', got {self.bits} with {self.activations!r}")
        if not 0 < self.damp <= 1:
            raise InputError(f"damp is a share in (0, 1], got {self.damp}")
        if self.calibration_rows < 2:
            raise InputError(f"calibration_rows is a whole number from 2, got {self.calibration_rows}")
        if self.block < 16 or self.block & (self.block - 1):
            raise InputError(f"block is a power of two from 16, got {self.block}")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """Int8 whole, and weights alone in 8 and 4 bits."""
        offers = [replace(self, activations=kind, bits=8) for kind in ("uint8", "float")]
        return [offer for offer in [*offers, replace(self, activations="float", bits=4)] if offer != self]


@applies_to(Gptq, "onnx")
def _onnx(technique: Gptq, workload: Workload) -> Workload:
    require("onnxruntime", "onnx", "Rounding with compensation")
    return _weights(technique, workload) if technique.activations == "float" else _whole(technique, workload)


def _weights(technique: Gptq, workload: Workload) -> Workload:
    """Weights alone: each layer is rounded on what the layers before it, rounded already, give it."""
    model = _grid.opened(_graph.tidy(workload.model), technique.bits)
    rows = _graph.sample(workload, technique.calibration_rows)
    given = _graph.feeds(workload, rows, [entry.name for entry in _edit.free_inputs(model)])
    for node in chosen(model.graph, technique.convolutions):
        stored = _graph.arrays(model.graph)[node.input[1]]
        weights = _layers.matrix(node, stored)
        hessians = _hessians(_layers.features(model, node.input[0], node, stored.shape, given, workload.seed))
        block = technique.block if technique.bits == 4 and node.op_type != "Conv" else None
        importance = np.diag(hessians[0]) if len(hessians) == 1 else None
        step = _grid.steps(weights, technique.bits, block, importance)
        levels = _rounded(technique, weights, hessians, step)
        _grid.store(model.graph, node, levels, step, technique.bits, block)
    return replace(workload, model=_graph.finished(model))


def _whole(technique: Gptq, workload: Workload) -> Workload:
    """Int8 activations too: weights of a quantized model are rounded anew, on the steps they have."""
    kind = "uint8" if technique.activations == "uint8" else "int8"
    static = StaticInt8(activations=kind, calibration_rows=technique.calibration_rows)  # type: ignore[arg-type]
    plan = planned(static, workload)
    _bias.add(plan.parsed.graph)
    model = quantized(static, plan)
    known = _graph.arrays(plan.parsed.graph)
    done = [
        node.name
        for node in _layers.plain(plan.parsed.graph)
        if _again(technique, model, node, known[node.input[1]], plan.given, workload.seed)
    ]
    if not done:
        raise TrialFailed(f"no layer of this model has weights to round: {_graph.kinds(plan.parsed.graph)} were found")
    if left := [node.name for node in _graph.layers(plan.parsed.graph) if node.name not in done]:
        _log.info("rounded plainly or left in float: %s", ", ".join(left))
    _bias.correct(model, plan.parsed, plan.given)
    _edges.stay_float(model.graph)
    return replace(plan.workload, model=_graph.finished(model))


def _again(technique: Gptq, model: Any, node: Any, stored: Array, given: dict[str, Array], seed: int) -> bool:
    """Round the weights of the layer that `node` is in the float model anew (in place); whether it has levels."""
    graph = model.graph
    twin = next(other for other in graph.node if other.name == node.name)
    reader, known = _graph.makers(graph).get(twin.input[1]), _graph.arrays(graph)
    if reader is None or reader.op_type != "DequantizeLinear" or known[reader.input[0]].dtype != np.int8:
        return False
    weights = _layers.matrix(node, stored)
    scale = known[reader.input[1]].astype(np.float64)
    step = np.broadcast_to(scale.reshape(-1, 1), weights.shape)
    hessians = _hessians(_layers.features(model, twin.input[0], node, stored.shape, given, seed))
    levels = _rounded(technique, weights, hessians, np.asarray(step))
    content = _layers.arranged(node, levels, stored.shape)
    reader.input[0] = _graph.constant(graph, f"{node.name}/levels", content, np.int8)
    return True


def _hessians(rows: Array) -> Array:
    """X'X of each group: (groups, rows, features) to (groups, features, features)."""
    return np.asarray(rows.transpose(0, 2, 1) @ rows)


def _rounded(technique: Gptq, weights: Array, hessians: Array, step: Array) -> Array:
    top, parts = _grid.top(technique.bits), len(hessians)
    size = len(weights) // parts
    return np.concatenate([
        _second_order.round_weights(weights[rows], hessian, step[rows], top, technique.damp)
        for hessian, rows in ((hessians[k], slice(k * size, (k + 1) * size)) for k in range(parts))
    ])  # fmt: skip
