"""Training with 8-bit numbers in the loop, so that the network learns to live with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import onnx as framework
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique._base import applies_to, apply
from trimwatt.technique.quantize.qat_unroll import unrolled
from trimwatt.technique.quantize.static_int8 import Activations, StaticInt8
from trimwatt.technique.train._plan import Training
from trimwatt.workload import Workload

_RANGES = ("learned", "averaged", "kept")
_CHECKED = 64
# of the answers' spread: float and int8 kernels may round a sum to neighbouring levels
_NEAR = 0.05


@dataclass(frozen=True)
class Qat(Training):
    """Quantization-aware training: what static-int8 makes of the network, trained further with its rounding.

    The graph is static-int8's, cleaned the same way, so it costs the same to run; weights, biases and the distance
    between levels change, and no epochs at all gives static-int8. What held-out rows liked best is kept, even the
    start. activations, per_channel, keep_float, calibration_rows, reduce_range: of static-int8, which makes the start.
    ranges: of activations: "learned" (by gradient, LSQ), "averaged" (moving averages of their extremes) or "kept".
    unroll: recurrent layers of a fixed number of steps become matrix products, which int8 kernels exist for; on
    CPUs that takes longer than the float layer at small batches. Rows must come as one array.
    """

    name: ClassVar[str] = "qat"
    family: ClassVar[str] = "quantization"
    group: ClassVar[str] = "quantize"
    shrinks: ClassVar[frozenset[str]] = frozenset({"bytes"})
    reference: ClassVar[str] = "Jacob et al. 2018, arXiv:1712.05877; Esser et al. 2020, arXiv:1902.08153"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx", "torch"})
    gives: ClassVar[str | None] = "onnx"
    books: ClassVar[str] = "train"

    epochs: int = 2
    learning_rate: float = 5e-4
    patience: int | None = None
    weight_decay: float = 0.0
    precision: str = "float32"
    activations: Activations = "uint8"
    per_channel: bool = True
    keep_float: tuple[str, ...] = ()
    calibration_rows: int = 200
    reduce_range: bool = False
    ranges: str = "learned"
    unroll: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ranges not in _RANGES:
            raise InputError(f"ranges is one of {', '.join(_RANGES)}, got {self.ranges!r}")
        if self.precision != "float32":
            raise InputError(f"precision is 'float32' here, got {self.precision!r}: 8 bits must not be rounded twice")
        self.start()

    def start(self) -> StaticInt8:
        """What is trained."""
        return StaticInt8(
            activations=self.activations, per_channel=self.per_channel, keep_float=self.keep_float,
            calibration_rows=self.calibration_rows, reduce_range=self.reduce_range,
        )  # fmt: skip


@applies_to(Qat, "onnx", "torch")
def _qat(technique: Qat, workload: Workload) -> Workload:
    require("torch", "torch", "Quantization-aware training")
    from trimwatt.framework.torch import fit
    from trimwatt.framework.torch.fakequant_graph import QuantizedGraph
    from trimwatt.framework.torch.run import sample, threads

    if workload.prepare is None and isinstance(workload.rows.train.x, dict):
        raise TrialFailed("qat takes rows as one array, these are named columns; return a Workload with prepare")
    lowered = framework.lower(workload)
    if technique.unroll:
        lowered = replace(lowered, model=unrolled(lowered))
    quantized = apply(technique.start(), lowered)
    if technique.epochs == 0:
        return quantized
    graph = QuantizedGraph(quantized.model, technique.ranges, 64 if technique.reduce_range else 127).eval()
    trainee = replace(quantized, model=graph, form="torch")
    rows = sample(trainee, _CHECKED)
    with threads(1):
        _agree(graph, quantized.model, rows)
        graph = fit(trainee, technique)  # type: ignore[assignment]
        model = graph.eval().written()
        _agree(graph, model, rows)
    return replace(quantized, model=model)


def _agree(graph: Any, model: bytes, rows: Any) -> None:
    """Raise TrialFailed where the module and ONNX Runtime answer differently."""
    from trimwatt.framework.torch.run import forward

    session = open_session(model)
    wanted = np.asarray(session.run(None, {session.get_inputs()[0].name: rows.numpy()})[0], np.float64)
    error = float(np.abs(forward(graph, rows) - wanted).max() / max(float(np.ptp(wanted)), 1e-12))
    if not error <= _NEAR:
        raise TrialFailed(f"the network in training answers differently from its export: by {error:.1%} of the spread")
