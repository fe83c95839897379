"""Weights kept in 16 bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique import _graph
from trimwatt.technique._base import Maturity, Technique, applies_to
from trimwatt.workload import Array, Workload

_SMALL = 64
_LARGEST = 65504.0
_TYPES = {"float16": 10, "bfloat16": 16}
_FLOAT = 1


@dataclass(frozen=True)
class Half(Technique):
    """Store weights in 16 bits and widen them when the model is opened: half the bytes, the same time.

    CPUs' kernels in ONNX Runtime compute in float32 whatever the file holds, so this saves no energy by itself; to
    compute in bfloat16, where the processor does, use the runtimes openvino-bf16 or torch-bf16. precision: "float16"
    (11 bits of mantissa) or "bfloat16" (8 bits, the range of float32).
    """

    name: ClassVar[str] = "half"
    maturity: ClassVar[Maturity] = "experimental"
    family: ClassVar[str] = "quantization"
    group: ClassVar[str] = "precision"
    shrinks: ClassVar[frozenset[str]] = frozenset({"bytes"})
    reference: ClassVar[str] = "Micikevicius et al. 2018, arXiv:1710.03740; Kalamkar et al. 2019, arXiv:1905.12322"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx"})
    gives: ClassVar[str | None] = "onnx"

    precision: str = "float16"

    def __post_init__(self) -> None:
        if self.precision not in _TYPES:
            raise InputError(f"precision is 'float16' or 'bfloat16', got {self.precision!r}")


@applies_to(Half, "onnx")
def _half(technique: Half, workload: Workload) -> Workload:
    require("onnx", "onnx", "Weights in 16 bits")
    # opset 17 and later; folds what an earlier step left to be computed from constants
    model = _graph.tidy(workload.model)
    graph, known = model.graph, _graph.arrays(model.graph)
    scales = {name for node in graph.node if "Quantize" in node.op_type for name in node.input[1:]}
    wide = [t for t in graph.initializer if t.data_type == _FLOAT and known[t.name].size > _SMALL]
    wide = [tensor for tensor in wide if tensor.name not in scales and _fits(technique, known[tensor.name])]
    if not wide:
        raise TrialFailed("the model holds no weights of 32 bits that 16 could hold")
    for tensor in wide:
        _store(graph, tensor, known[tensor.name], technique.precision)
    return replace(workload, model=_graph.finished(model))


def _fits(technique: Half, content: Array) -> bool:
    return technique.precision == "bfloat16" or bool(np.abs(content).max() <= _LARGEST)


def _store(graph: Any, tensor: Any, content: Array, precision: str) -> None:
    """Put the weights in 16 bits, and a node that widens them, in the place of the weights (in place)."""
    from onnx import TensorProto

    name = tensor.name
    small = f"{name}/half"
    raw = content.astype(np.float16).tobytes() if precision == "float16" else rounded(content).tobytes()
    stored = TensorProto(name=small, dims=content.shape, data_type=_TYPES[precision], raw_data=raw)
    tensor.CopyFrom(stored)
    _graph.put(graph, 0, [_graph.node("Cast", [small], name, to=_FLOAT)])


def rounded(content: Array) -> Array:
    """The upper halves of float32 numbers, uint16, rounded to the nearest, halves to even."""
    bits = np.ascontiguousarray(content, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
