"""Weights that are no numbers: an export that holds some is no honest file, even where no answer reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from trimwatt.framework.each import members
from trimwatt.workload import Array, Workload

# where an operator takes its weights; a constant elsewhere may be infinite for good, as in a mask or a bound
_WEIGHTED = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "FusedMatMul", "LSTM", "GRU", "RNN", "BatchNormalization"}
)
_LEARNED = ("coef_", "intercept_", "coefs_", "intercepts_", "dual_coef_")


def find_unfinite(workload: Workload) -> str | None:
    """In words, the first weights of the model that are NaN or infinite; None where all are numbers."""
    kinds = {"torch": _of_torch, "onnx": _of_onnx, "sklearn": _of_sklearn}
    if workload.form not in kinds:
        return None
    for name, values, bounds_allowed in kinds[workload.form](workload.model):
        bad = int((np.isnan(values) if bounds_allowed else ~np.isfinite(values)).sum())
        if bad:
            return f"{bad:,} of {values.size:,} weights of {name} are NaN or infinite; train it again"
    return None


def _of_torch(module: Any) -> Iterator[tuple[str, Array, bool]]:
    """Weights, and buffers, among which a mask may be infinite."""
    for name, value in module.named_parameters():
        yield name, _numbers(value), False
    for name, value in module.named_buffers():
        yield name, _numbers(value), True


def _numbers(value: Any) -> Array:
    if not (value.is_floating_point() and value.device.type == "cpu" and not value.is_sparse):
        return np.empty(0)
    return np.asarray(value.detach().float().numpy())


def _of_onnx(content: bytes) -> Iterator[tuple[str, Array, bool]]:
    import onnx

    model = onnx.load_model_from_string(content)
    weights = {name for node in model.graph.node if node.op_type in _WEIGHTED for name in node.input[1:]}
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
    for tensor in model.graph.initializer:
        # one NaN alone is what a graph compares or fills with
        if tensor.data_type in floats and np.prod(tensor.dims) > 1:
            yield tensor.name.removeprefix("given/"), onnx.numpy_helper.to_array(tensor), tensor.name not in weights


def _of_sklearn(estimator: Any) -> Iterator[tuple[str, Array, bool]]:
    for step in [step for one in members(estimator) for _, step in getattr(one, "steps", [("", one)])]:
        for name in _LEARNED:
            values = getattr(step, name, None)
            for part in values if isinstance(values, list) else [values]:
                if isinstance(part, np.ndarray) and part.dtype.kind == "f":
                    yield f"{type(step).__name__}.{name}", part, False
