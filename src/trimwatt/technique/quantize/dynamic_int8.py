"""Dynamic int8: weights of 8 bits, and activations rounded for each request by what it brings."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed, first_line
from trimwatt.framework.onnx import _edit
from trimwatt.technique import _graph
from trimwatt.technique._base import Technique, applies_to
from trimwatt.workload import Workload

_log = logging.getLogger("trimwatt")
_KINDS = ("Gemm", "LSTM", "MatMul")


@dataclass(frozen=True)
class DynamicInt8(Technique):
    """Quantize dense layers and LSTMs to int8, with activation ranges found anew for each request.

    No rows are needed, and no range can be missed. Convolutions stay in float: ONNX Runtime's dynamic kernels for
    them were seen to take 5 to 9 times as long as float ones. per_channel: a scale for each output. keep_float:
    layers left in float, by node name. reduce_range: weights of 7 bits, for CPUs without VNNI.
    """

    name: ClassVar[str] = "dynamic-int8"
    family: ClassVar[str] = "quantization"
    group: ClassVar[str] = "quantize"
    shrinks: ClassVar[frozenset[str]] = frozenset({"bytes"})
    reference: ClassVar[str] = "Jacob et al. 2018, arXiv:1712.05877; Krishnamoorthi 2018, arXiv:1806.08342"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx"})
    gives: ClassVar[str | None] = "onnx"

    per_channel: bool = True
    keep_float: tuple[str, ...] = ()
    reduce_range: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.keep_float, str):
            raise InputError(f"keep_float is a tuple of layers, got {self.keep_float!r}; write ({self.keep_float!r},)")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """One scale for all outputs of a layer."""
        return [replace(self, per_channel=not self.per_channel)]


@applies_to(DynamicInt8, "onnx")
def _onnx(technique: DynamicInt8, workload: Workload) -> Workload:
    require("onnxruntime", "onnx", "Dynamic int8")
    model = _graph.tidy(workload.model)
    _check(model.graph, technique.keep_float)
    return replace(workload, model=_graph.finished(_quantized(technique, model)))


def _check(graph: Any, kept: Sequence[str]) -> None:
    if any("Integer" in node.op_type or node.op_type.endswith("QuantizeLinear") for node in graph.node):
        raise TrialFailed("the model is quantized already")
    known = _graph.arrays(graph)
    found = [n for n in graph.node if n.op_type in _KINDS and n.input[1] in known]
    names = [node.name for node in found]
    if missing := sorted(set(kept) - set(names)):
        few = ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
        raise InputError(f"keep_float names {missing[0]!r}, which is no dense layer of this model; they are {few}")
    if not set(names) - set(kept):
        raise TrialFailed(f"no dense layer or LSTM of this model can be quantized: {_graph.kinds(graph)} were found")
    left = [n.name for n in graph.node if n.op_type in ("Conv", "ConvTranspose", "GRU", "RNN")]
    if left:
        _log.info("left in float, having no fast dynamic kernel: %s", ", ".join(left))


def _quantized(technique: DynamicInt8, model: Any) -> Any:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # the quantizer splits dense layers with a bias and names the product anew
    kept = [name + end for name in technique.keep_float for end in ("", "_MatMul")]
    with tempfile.TemporaryDirectory(prefix="trimwatt-") as folder, _graph.silence():
        path = Path(folder) / "dynamic.onnx"
        try:
            quantize_dynamic(
                model, str(path), op_types_to_quantize=list(_KINDS), per_channel=technique.per_channel,
                reduce_range=technique.reduce_range, weight_type=QuantType.QInt8,
                nodes_to_exclude=kept, extra_options={"MatMulConstBOnly": True},
            )  # fmt: skip
        except Exception as error:  # the quantizer raises ValueError, RuntimeError, AssertionError and protobuf's own
            raise TrialFailed(f"ONNX Runtime cannot quantize this model: {first_line(error)}") from error
        return _edit.load(path.read_bytes())
