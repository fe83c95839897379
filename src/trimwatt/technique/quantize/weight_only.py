"""Weights of 8 or 4 bits, read as numbers again when they are used: fewer bytes, and at times not more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique import _graph
from trimwatt.technique._base import Maturity, Technique, applies_to
from trimwatt.technique.quantize import _grid, _layers
from trimwatt.workload import Workload

_log = logging.getLogger("trimwatt")
# layers of fewer weights would hardly shrink
_LEAST = 512


@dataclass(frozen=True)
class WeightOnly(Technique):
    """Round the weights of dense layers to 8 or 4 bits and leave all activations in float.

    It makes files smaller, by 4 or by 7; whether it makes answers cheaper, the measurement tells: ONNX Runtime has
    an operator for packed dense weights, but none for convolutions, whose weights it turns to float at each answer.
    bits: 8 (a step for each output) or 4 (a step for each `block` of inputs). convolutions: their weights as well.
    No rows are needed.
    """

    name: ClassVar[str] = "weight-only"
    maturity: ClassVar[Maturity] = "experimental"
    family: ClassVar[str] = "quantization"
    group: ClassVar[str] = "quantize"
    shrinks: ClassVar[frozenset[str]] = frozenset({"bytes"})
    reference: ClassVar[str] = "Dettmers and Zettlemoyer 2023, arXiv:2212.09720"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx"})
    gives: ClassVar[str | None] = "onnx"

    bits: int = 8
    block: int = 32
    convolutions: bool = False

    def __post_init__(self) -> None:
        if self.bits not in (4, 8):
            raise InputError(f"bits is 4 or 8, got {self.bits}")
        if self.block < 16 or self.block & (self.block - 1):
            raise InputError(f"block is a power of two from 16, got {self.block}")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """The other number of bits."""
        return [replace(self, bits=12 - self.bits)]


@applies_to(WeightOnly, "onnx")
def _onnx(technique: WeightOnly, workload: Workload) -> Workload:
    require("onnxruntime", "onnx", "Weights of few bits")
    model = _grid.opened(_graph.tidy(workload.model), technique.bits)
    for node in chosen(model.graph, technique.convolutions):
        weights = _layers.matrix(node, _graph.arrays(model.graph)[node.input[1]])
        block = technique.block if technique.bits == 4 and node.op_type != "Conv" else None
        step = _grid.steps(weights, technique.bits, block)
        _grid.store(model.graph, node, _grid.nearest(weights, step, technique.bits), step, technique.bits, block)
    return replace(workload, model=_graph.finished(model))


def chosen(graph: Any, convolutions: bool) -> list[Any]:
    """Layers whose weights are worth fewer bits; those left out are listed in the log.

    Raises TrialFailed where there are none, which is also so where the model is quantized already.
    """
    known = _graph.arrays(graph)
    wanted = ("Conv", "Gemm", "MatMul") if convolutions else ("Gemm", "MatMul")
    nodes = [n for n in _layers.plain(graph) if n.op_type in wanted and np.size(known[n.input[1]]) >= _LEAST]
    if not nodes:
        what = "layer" if convolutions else "dense layer"
        raise TrialFailed(
            f"no {what} of this model has float weights, {_LEAST} or more: {_graph.kinds(graph)} were found"
        )
    names = {node.name for node in nodes}
    left = [node.name for node in _graph.layers(graph) if node.name not in names]
    if left:
        _log.info("weights left in float: %s", ", ".join(left))
    return nodes
