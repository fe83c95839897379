"""Static int8: weights and activations as 8-bit integers, with scales found on training rows."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed, first_line
from trimwatt.framework.onnx import _edit
from trimwatt.technique import _graph
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.quantize import _bias, _calibration, _clean, _edges, _ranges
from trimwatt.workload import Array, Workload

Activations = Literal["uint8", "int8"]
Method = Literal["minmax", "percentile", "entropy", "mse"]
_METHODS = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy", "mse": "MinMax"}
_SMALL = 8192
# operators with an int8 kernel on CPUs; softmax and gates stay in float, where 8 bits cost answers and save nothing
_KINDS = frozenset({
    "Add", "AveragePool", "Clip", "Concat", "Conv", "ConvTranspose", "Flatten", "Gemm", "GlobalAveragePool",
    "LeakyRelu", "MatMul", "MaxPool", "Mul", "Pad", "Relu", "Reshape", "Resize", "Sigmoid", "Slice", "Split",
    "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip


@dataclass(frozen=True)
class StaticInt8(Technique):
    """Quantize an ONNX model to int8 (QuantizeLinear and DequantizeLinear around each operator).

    activations: 8-bit type between layers; which is fast depends on the CPU, and by a factor of two, so both are
    tried. per_channel: a scale for each output channel of a weight. keep_float: layers left in float, by node name
    or as "first", "last". method: how ranges are found on `calibration_rows` training rows; "mse" takes those whose
    squared error is least. reduce_range: weights of 7 bits, for CPUs without VNNI, whose 8-bit products overflow.
    clean: first rewrite what stands around the layers so that pixels enter as they are and shortcuts stay in int8
    (see `_clean`). float_head: leave small dense layers that end a convolutional network in float, where int8 takes
    longer and costs answers. correct_bias: put into each bias what rounding adds to its channel on average.
    """

    name: ClassVar[str] = "static-int8"
    family: ClassVar[str] = "quantization"
    group: ClassVar[str] = "quantize"
    shrinks: ClassVar[frozenset[str]] = frozenset({"bytes"})
    reference: ClassVar[str] = "Jacob et al. 2018, arXiv:1712.05877; Nagel et al. 2019, arXiv:1906.04721"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx"})
    gives: ClassVar[str | None] = "onnx"

    activations: Activations = "uint8"
    per_channel: bool = True
    keep_float: tuple[str, ...] = ()
    method: Method = "minmax"
    calibration_rows: int = 200
    reduce_range: bool = False
    clean: bool = True
    float_head: bool = True
    correct_bias: bool = False

    def __post_init__(self) -> None:
        if self.activations not in ("uint8", "int8"):
            raise InputError(f"activations is 'uint8' or 'int8', got {self.activations!r}")
        if self.method not in _METHODS:
            raise InputError(f"method is one of {', '.join(_METHODS)}, got {self.method!r}")
        if isinstance(self.keep_float, str):
            raise InputError(f"keep_float is a tuple of layers, got {self.keep_float!r}; write ({self.keep_float!r},)")
        if self.calibration_rows < 1:
            raise InputError(f"calibration_rows is a whole number from 1, got {self.calibration_rows}")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """The other activation type, the first or last layer in float, ranges that leave out rare extremes."""
        other: Activations = "int8" if self.activations == "uint8" else "uint8"
        kept = [word for word in ("first", "last") if word not in self.keep_float]
        offers = [
            replace(self, activations=other),
            *(replace(self, keep_float=(*self.keep_float, word)) for word in kept),
            replace(self, method="percentile" if self.method != "percentile" else "minmax"),
        ]
        return [*offers, replace(self, reduce_range=not self.reduce_range)] if _adds_in_16_bits() else offers


def _adds_in_16_bits() -> bool:
    """Whether this CPU is an x86 without VNNI, where products of uint8 and int8 may overflow."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx2" in flags and "vnni" not in flags


@dataclass(frozen=True)
class Plan:
    """What is quantized: the float model as `parsed` and rewritten, rows by its input names, and nodes left alone."""

    workload: Workload
    parsed: Any
    given: dict[str, Array]
    kept: list[str]


@applies_to(StaticInt8, "onnx")
def _onnx(technique: StaticInt8, workload: Workload) -> Workload:
    plan = planned(technique, workload)
    return replace(plan.workload, model=_graph.finished(quantized(technique, plan)))


def planned(technique: StaticInt8, workload: Workload) -> Plan:
    """The float model made ready; raises TrialFailed where it holds nothing to quantize."""
    require("onnxruntime", "onnx", "Static int8")
    model = _graph.tidy(workload.model)
    _quantizable(model.graph)
    enter = technique.clean and not {"first", _graph.layers(model.graph)[0].name} & set(technique.keep_float)
    if enter:
        workload = _clean.whole(workload)
        model = _graph.tidy(workload.model)
    rows = _graph.sample(workload, technique.calibration_rows)
    given = _graph.feeds(workload, rows, [entry.name for entry in _edit.free_inputs(model)])
    if technique.clean:
        model = _clean.cleaned(model, given, enter)
    _edges.flatten_biases(model.graph)
    if technique.correct_bias:
        _bias.add(model.graph)
    _graph.drop_unused(model.graph)
    kept = [*_kept(model.graph, technique.keep_float), *_inside_gelu(model.graph), *_before_softmax(model.graph)]
    kept += _small_head(model.graph) if technique.float_head else []
    return Plan(workload, model, given, kept)


def quantized(technique: StaticInt8, plan: Plan) -> Any:
    """The parsed int8 model; its layers have the names they have in the float one."""
    model = _quantized(technique, copy.deepcopy(plan.parsed), plan.given, plan.kept)
    _edges.open_edges(model, _KINDS)
    if technique.correct_bias:
        _bias.correct(model, plan.parsed, plan.given)
    return model


def _quantizable(graph: Any) -> None:
    if any(node.op_type in ("QuantizeLinear", "QLinearConv", "DynamicQuantizeLinear") for node in graph.node):
        raise TrialFailed("the model is quantized already")
    if not _graph.layers(graph):
        raise TrialFailed(f"no layer of this model has an int8 kernel: {_graph.kinds(graph)} were found")


def _kept(graph: Any, wanted: tuple[str, ...]) -> list[str]:
    """Names of the nodes to leave in float; raises InputError for a layer there is none of."""
    names = [node.name for node in _graph.layers(graph)]
    special = {"first": names[0], "last": names[-1]}
    everything = {node.name for node in graph.node}
    for word in wanted:
        if word not in special and word not in everything:
            few = ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
            raise InputError(f"keep_float names {word!r}, which is no layer of this model; layers are {few}")
    return [special.get(word, word) for word in wanted]


def _small_head(graph: Any) -> list[str]:
    """Dense layers of few weights that end a convolutional network."""
    known = _graph.arrays(graph)
    found: list[str] = []
    for node in reversed(_graph.layers(graph)):
        if node.op_type not in ("Gemm", "MatMul"):
            return found
        if known[node.input[1]].size > _SMALL:
            break
        found.append(node.name)
    convolves = any(node.op_type.startswith("Conv") for node in _graph.layers(graph))
    return found if convolves else []


def _inside_gelu(graph: Any) -> list[str]:
    """The sum and the products behind an Erf: pieces of one activation that ONNX Runtime fuses again in float."""
    takers, found = _graph.takers(graph), []
    values = [node.output[0] for node in graph.node if node.op_type == "Erf"]
    for _ in range(3):
        pieces = [n for value in values for n in takers[value] if n is not None and n.op_type in ("Add", "Mul")]
        found += [node.name for node in pieces]
        values = [node.output[0] for node in pieces]
    return found


def _before_softmax(graph: Any) -> list[str]:
    """What scales and masks the numbers a softmax takes: a mask of -1e9 leaves them no range in 8 bits."""
    makers, found = {output: node for node in graph.node for output in node.output}, []
    waiting = [name for node in graph.node if node.op_type == "Softmax" for name in node.input]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.op_type in ("Add", "Div", "Mul", "Sub", "Where") and node.name not in found:
            found.append(node.name)
            waiting += node.input
    return found


def _quantized(technique: StaticInt8, model: Any, given: dict[str, Array], kept: list[str]) -> Any:
    """What ONNX Runtime's quantizer makes of the model."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    # histograms need every activation of a chunk at once, ranges do not
    chunk = 8 if technique.method in ("percentile", "entropy") else 32
    found = _ranges.least_squares(model, given, _KINDS) if technique.method == "mse" else {}
    ranges = {name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in found.items()}
    with tempfile.TemporaryDirectory(prefix="trimwatt-") as folder, _graph.silence():
        path = Path(folder) / "int8.onnx"
        try:
            quantize_static(
                model, str(path), _calibration.reader(given, chunk),
                quant_format=QuantFormat.QDQ, per_channel=technique.per_channel, reduce_range=technique.reduce_range,
                activation_type=QuantType.QUInt8 if technique.activations == "uint8" else QuantType.QInt8,
                weight_type=QuantType.QInt8, nodes_to_exclude=kept, op_types_to_quantize=sorted(_KINDS),
                calibrate_method=getattr(CalibrationMethod, _METHODS[technique.method]),
                extra_options={"CalibStridedMinMax": 1, "MatMulConstBOnly": True, "TensorQuantOverrides": ranges},
            )  # fmt: skip
        except Exception as error:  # the quantizer raises ValueError, RuntimeError, AssertionError and protobuf's own
            raise TrialFailed(f"ONNX Runtime cannot quantize this model: {first_line(error)}") from error
        return _edit.load(path.read_bytes())
