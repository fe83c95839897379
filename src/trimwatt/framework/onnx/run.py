"""Runs ONNX models in ONNX Runtime, as opened for one thread and no waiting in loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed, first_line
from trimwatt.framework.rows import as_array
from trimwatt.rows import packing
from trimwatt.rows.view import View
from trimwatt.workload import Array, Rows, Workload, count, unmasked

Feeder = Callable[[Any], dict[str, Array]]
_CHUNK = 1024
_TYPES = {
    "tensor(string)": object, "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(int16)": np.int16, "tensor(int8)": np.int8,
    "tensor(uint64)": np.uint64, "tensor(uint32)": np.uint32, "tensor(uint16)": np.uint16, "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}  # fmt: skip


def open_session(model: bytes | Path, threads: int = 1) -> Any:
    """An onnxruntime.InferenceSession on the CPU; raises TrialFailed where the runtime refuses the model.

    Threads do not spin while they wait: spinning is energy for nothing at batch 1.
    """
    ort = require("onnxruntime", "onnx", "Running ONNX models")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    source = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base but Exception
        raise TrialFailed(f"ONNX Runtime refuses the model: {first_line(error)}") from error


def feed(session: Any, rows: Rows) -> dict[str, Array]:
    """Rows as stored, as the session's inputs: `x`, or columns by their names."""
    if isinstance(rows, dict):
        return packing.Packer(_tensors(types(session), session.get_modelmeta().custom_metadata_map))(rows)
    return {session.get_inputs()[0].name: unmasked(rows) if isinstance(rows, np.ma.MaskedArray) else rows}


def feeder(inputs: Mapping[str, Any], metadata: Mapping[str, str], view: View | None = None) -> Feeder:
    """Makes the inputs of a model, whose numpy types are `inputs`, of requests: `x` of one array, tensors as the
    model's `metadata` says, or each column as `(n, 1)`.

    view: how it sees stored columns, None where they are plain or it takes them as stored.
    """
    packer = packing.Packer(_tensors(inputs, metadata), view)
    # a table may have one column, called x
    if packing.KEY in metadata or list(inputs) != ["x"]:
        return packer

    def feed_array(request: Any) -> dict[str, Array]:
        if request.__class__ is np.ndarray:
            return {"x": request}
        named = isinstance(request, Mapping) or hasattr(request, "iloc")
        return packer(request) if named else {"x": as_array(request)}

    return feed_array


def _tensors(inputs: Mapping[str, Any], metadata: Mapping[str, str]) -> tuple[packing.Tensor, ...]:
    if packing.KEY not in metadata:
        names = {name: "string" if kind is object else np.dtype(kind).name for name, kind in inputs.items()}
        return tuple(packing.Tensor(name, kind, (packing.Column(name),)) for name, kind in names.items())
    packed = packing.from_text(metadata[packing.KEY])
    if {tensor.name for tensor in packed} != set(inputs):
        raise InputError(f"the model's entry {packing.KEY} names other inputs than the model has; export it again")
    return packed


def numpy_type(name: str) -> Any:
    """The numpy type of ONNX's "float", "double", "int64", ..., object for "string"."""
    return _TYPES.get(f"tensor({name})", np.float32)


def types(session: Any) -> dict[str, Any]:
    """The numpy type of each input of a session, object for text."""
    return {entry.name: _TYPES.get(entry.type, np.float32) for entry in session.get_inputs()}


def raw(workload: Workload, rows: Rows) -> Array:
    """What the core network gives for rows as stored, preprocessing applied before it."""
    session = open_session(workload.model)
    parts = []
    for part in workload.in_batches(rows, _CHUNK):
        given = workload.prepare.transform(part) if workload.prepare else part
        try:
            parts.append(session.run(None, feed(session, given))[0])
        except Exception as error:  # onnxruntime's errors share no base but Exception
            raise TrialFailed(f"ONNX Runtime cannot run the model: {first_line(error)}") from error
    return np.concatenate(parts)[: count(rows)]


def scores(workload: Workload, rows: Rows) -> Array:
    """Probabilities (n, k) in the order of the classes, or values (n,)."""
    return workload.probabilities(raw(workload, rows))
