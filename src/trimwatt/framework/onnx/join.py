"""Joining: preprocessing, core network and decision to the one ONNX file that is deployed."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.errors import InputError, TrialFailed, first_line
from trimwatt.framework import _graph
from trimwatt.framework.onnx import _edit, _missing, run
from trimwatt.tasks import CoreOutput
from trimwatt.workload import Workload, take

_OUTPUTS = ("prediction", "probability")


def join(workload: Workload) -> bytes:
    """The deployable model: rows as stored in, `prediction` (n,) and, for classifiers, `probability` (n, k) out.

    `prediction` holds labels as in data.classes (int64 or string), or float32 values. Raises TrialFailed where the
    parts cannot share a graph.
    """
    models = [_edit.load(workload.model)]
    if workload.prepare is not None:
        models.insert(0, _edit.load(workload.prepare.to_onnx()))
    # what preprocessing says of its inputs, which no conversion keeps
    packed = list(models[0].metadata_props) if workload.prepare is not None else []
    for model in models:
        del model.graph.value_info[:]
    models = _edit.raise_to_common(models)
    prefix = _graph.unused_prefix("decide", [entry.name for entry in _edit.free_inputs(models[0])])
    tail = _graph.Graph(prefix)
    given = CoreOutput(f"{prefix}/given", _width(workload, models[-1]), _rank(models[-1]), _is_double(models[-1]))
    outputs = [_graph.value(*output) for output in workload.task.onnx_tail(tail, given, workload)]
    return _assembled(models, tail, outputs, given.name, packed)


def _is_double(core: Any) -> bool:
    return bool(core.graph.output[0].type.tensor_type.elem_type == _graph.element_type(np.float64))


def _rank(core: Any) -> int | None:
    return len(_edit.shape_of(core.graph.output[0])) or None


def _width(workload: Workload, core: Any) -> int:
    if workload.outputs == "values":
        return 1
    shape = _edit.shape_of(core.graph.output[0])
    if len(shape) == 2 and shape[1]:
        return shape[1]
    got = run.raw(workload, take(workload.rows.train.x, slice(0, 2)))
    return got.size // len(got)


def _assembled(models: list[Any], tail: _graph.Graph, outputs: list[Any], tail_input: str, packed: list[Any]) -> bytes:
    import onnx

    inputs = _edit.free_inputs(models[0])
    if {entry.name for entry in inputs} & set(_OUTPUTS):
        raise InputError("a column is called 'prediction' or 'probability', as the outputs are; rename it in the data")
    columns = {entry.name for entry in inputs}
    before, core = (_graph.unused_prefix(word, columns) for word in ("prepare/", "core/"))
    if len(models) > 1:
        _prefix(models[0], before, keep=columns)
        given = {_edit.free_inputs(models[1])[0].name: models[0].graph.output[0].name}
        _prefix(models[1], core, given, {models[1].graph.output[0].name: tail_input})
    else:
        kept = {entry.name: entry.name for entry in inputs}
        _prefix(models[0], core, kept, {models[0].graph.output[0].name: tail_input})
    nodes = [node for model in models for node in model.graph.node] + tail.nodes
    constants = [tensor for model in models for tensor in model.graph.initializer] + tail.constants
    sparse = [tensor for model in models for tensor in model.graph.sparse_initializer]
    graph = onnx.helper.make_graph(
        nodes, "trimwatt", [_batched(entry) for entry in inputs], outputs, constants, sparse_initializer=sparse
    )
    functions = [function for model in models for function in model.functions]
    joined = onnx.helper.make_model(
        graph, producer_name="trimwatt", functions=functions, ir_version=max(_graph.IR_VERSION, models[-1].ir_version)
    )
    joined.metadata_props.extend(packed)
    del joined.opset_import[:]
    versions = {(e.domain if e.domain != "ai.onnx" else ""): e.version for m in models for e in m.opset_import}
    for domain, version in versions.items():
        joined.opset_import.add(domain=domain, version=version)
    _missing.fold(joined.graph)
    return _checked(joined)


def _checked(model: Any) -> bytes:
    import onnx

    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise TrialFailed(f"the joined model is not valid ONNX: {first_line(error)}") from error
    return bytes(model.SerializeToString())


def _prefix(
    model: Any,
    prefix: str,
    given: dict[str, str] | None = None,
    fixed: dict[str, str] | None = None,
    keep: set[str] | None = None,
) -> None:
    """Set the names of a part apart from those of the others (in place)."""
    names = {name: name if name in (keep or set()) else prefix + name for name in _edit.names_of(model.graph)}
    _edit.rename(model.graph, names | (given or {}) | (fixed or {}))
    for i, node in enumerate(model.graph.node):
        node.name = f"{prefix}{node.op_type}{i}"


def _batched(entry: Any) -> Any:
    """The input with a batch dimension of any size."""
    dims = entry.type.tensor_type.shape.dim
    if dims:
        dims[0].dim_param = "n"
    return entry
