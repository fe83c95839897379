"""How large an ONNX model is, and how much it computes for one row."""

from __future__ import annotations

import math
from typing import Any

from trimwatt.errors import TrialFailed
from trimwatt.framework.onnx import _edit
from trimwatt.workload import Workload

_WEIGHTS = frozenset({1, 2, 3, 10, 11, 16, 21, 22})  # float, uint8, int8, float16, double, bfloat16, uint4, int4
_TREES = frozenset({"TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"})
_LEARNED = ("coefficients", "class_weights", "target_weights", "support_vectors", "intercepts")


def parameters(workload: Workload) -> int | None:
    """Fitted numbers: elements of the weights, and thresholds and leaves of trees."""
    model = _edit.load(workload.model)
    total: int = sum(math.prod(t.dims) for t in model.graph.initializer if t.data_type in _WEIGHTS)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in _LEARNED:
                total += len(attribute.floats)
            if attribute.name == "nodes_modes":
                total += sum(mode != b"LEAF" for mode in attribute.strings)
            if node.op_type == "Constant" and attribute.HasField("t") and attribute.t.data_type in _WEIGHTS:
                total += math.prod(attribute.t.dims)
    return total


def macs(workload: Workload) -> int | None:
    """Multiply-accumulates for one row; None for trees, and where shapes cannot be inferred."""
    model = _edit.load(workload.model)
    if any(node.op_type in _TREES for node in model.graph.node):
        return None
    shapes = _shapes(model)
    try:
        return sum(_node_macs(node, shapes) for node in model.graph.node)
    except (KeyError, IndexError, TypeError):
        return None


def _shapes(model: Any) -> dict[str, list[int | None]]:
    import onnx

    for entry in _edit.free_inputs(model):
        dims = entry.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            dims[0].dim_value = 1
    # sizes that were described for any batch would contradict those inferred for one row
    del model.graph.value_info[:]
    for entry in model.graph.output:
        entry.type.tensor_type.ClearField("shape")
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # InferenceError is not public
        raise TrialFailed(f"the model's shapes cannot be inferred: {error}") from error
    entries = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    shapes = {entry.name: _edit.shape_of(entry) for entry in entries}
    return shapes | {t.name: list(t.dims) for t in model.graph.initializer}


def _node_macs(node: Any, shapes: dict[str, Any]) -> int:
    """0 for what multiplies no matrix. Convolutions: Goodfellow et al., Deep Learning, chapter 9."""
    kind = node.op_type
    if kind in ("Conv", "ConvInteger", "QLinearConv"):
        weight = shapes[node.input[3 if kind == "QLinearConv" else 1]]
        return int(math.prod(shapes[node.output[0]]) * math.prod(weight[1:]))
    if kind == "ConvTranspose":
        return int(math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:]))
    if kind in ("MatMul", "Gemm", "MatMulInteger", "QGemm", "FusedMatMul", "QLinearMatMul"):
        return int(math.prod(shapes[node.output[0]]) * _inner(node, shapes))
    if kind in ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"):
        steps = shapes[node.input[0]][0]
        return int(steps * (math.prod(shapes[node.input[1]]) + math.prod(shapes[node.input[2]])))
    if kind in ("LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor"):
        return sum(len(a.floats) for a in node.attribute if a.name in ("coefficients", "support_vectors"))
    return 0


def _inner(node: Any, shapes: dict[str, Any]) -> int:
    shape = shapes[node.input[0]]
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    return int(shape[0] if transposed else shape[-1])
