"""Joining: preprocessing, core network and decision to the one ONNX file that is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.errors import InputError, TrialFailed, first_line
from trimwatt.framework import _graph
from trimwatt.framework.onnx import _edit, _missing, run
from trimwatt.workload import Decide, Workload, take

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
    raw = _Raw(f"{prefix}/given", _width(workload, models[-1]), _rank(models[-1]), _is_double(models[-1]))
    outputs = _values(tail, raw) if workload.outputs == "values" else _classes(tail, raw, workload)
    return _assembled(models, tail, outputs, raw.name, packed)


@dataclass(frozen=True)
class _Raw:
    """The core's output. width: columns. rank: dimensions, None where not said."""

    name: str
    width: int
    rank: int | None
    double: bool


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


def _values(tail: _graph.Graph, raw: _Raw) -> list[Any]:
    name = tail.add("Cast", raw.name, to=1) if raw.double else raw.name
    if raw.rank == 1 and not raw.double:
        tail.add("Identity", name, output="prediction")
    else:
        tail.add("Reshape", name, tail.constant([-1], np.int64), output="prediction")
    return [_graph.value("prediction", np.float32, ("n",))]


def _classes(tail: _graph.Graph, raw: _Raw, workload: Workload) -> list[Any]:
    decide = workload.decide or Decide(workload.rows.classes or ())
    name = tail.add("Cast", raw.name, to=1) if raw.double else raw.name
    if raw.rank != 2:
        name = tail.add("Reshape", name, tail.constant([-1, raw.width], np.int64))
    columns = list(workload.class_columns or range(max(2, raw.width)))
    probability = _probability(tail, name, raw.width, workload.outputs == "logits")
    # the largest logit is the largest probability: no need to wait for the softmax
    ranked = name if raw.width > 1 else probability
    ordered = _ordered(tail, probability, columns, len(decide.classes))
    if ordered == raw.name:
        ordered = tail.add("Identity", ordered)
    _renamed(tail, ordered, "probability")
    ranked = "probability" if ranked == ordered else ranked
    open_interval = decide.threshold is None or 0 < decide.threshold < 1
    if raw.width == 1 and columns == list(range(len(decide.classes))) and open_interval:
        _one_column(tail, name, decide, workload.outputs == "logits")
    elif decide.threshold is None or decide.positive is None:
        _most_probable(tail, ranked, decide, columns if ranked != "probability" else list(range(len(decide.classes))))
    else:
        _thresholded(tail, decide)
    outputs = [_graph.value("prediction", _label_array(decide).dtype, ("n",))]
    return [*outputs, _graph.value("probability", np.float32, ("n", len(decide.classes)))]


def _probability(tail: _graph.Graph, name: str, width: int, logits: bool) -> str:
    if width > 1:
        return tail.add("Softmax", name, axis=1) if logits else name
    one = tail.add("Sigmoid", name) if logits else name
    return tail.add("Concat", tail.add("Sub", tail.constant([1.0], np.float32), one), one, axis=1)


def _ordered(tail: _graph.Graph, name: str, columns: list[int], classes: int) -> str:
    """Columns in the order of the classes, 0 for a class the model does not know."""
    if columns == list(range(classes)):
        return name
    if len(columns) == classes:
        return tail.add("Gather", name, tail.constant(np.argsort(columns), np.int64), axis=1)
    place = np.zeros((len(columns), classes), dtype=np.float32)
    place[np.arange(len(columns)), columns] = 1
    return tail.add("MatMul", name, tail.constant(place))


def _most_probable(tail: _graph.Graph, ranked: str, decide: Decide, columns: list[int]) -> None:
    code = tail.add("ArgMax", ranked, axis=1, keepdims=0)
    labels = _label_array(decide)[columns]
    if labels.dtype.kind == "i" and (labels == np.arange(len(labels))).all():
        tail.rename_last("prediction")
    else:
        tail.add("Gather", tail.constant(labels), code, output="prediction")


def _one_column(tail: _graph.Graph, name: str, decide: Decide, logits: bool) -> None:
    """Two classes by the score of the second: compared as it comes, no need to wait for both probabilities."""
    labels, flat = _label_array(decide), tail.add("Reshape", name, tail.constant([-1], np.int64))
    chosen = decide.threshold is not None and decide.positive is not None
    least = decide.threshold if chosen and decide.threshold is not None else 0.5
    least = 1 - least if chosen and decide.positive == 0 else least
    bound = tail.constant(np.log(least / (1 - least)) if logits else least, np.float32)
    # of two equal probabilities the first counts; from a threshold on the positive one does
    kind = "GreaterOrEqual" if chosen and decide.positive == 1 else "Greater"
    no, yes = (tail.constant(labels[code : code + 1]) for code in (0, 1))
    tail.add("Where", tail.add(kind, flat, bound), yes, no, output="prediction")


def _thresholded(tail: _graph.Graph, decide: Decide) -> None:
    positive, labels = int(decide.positive or 0), _label_array(decide)
    share = tail.add("Gather", "probability", tail.constant(positive, np.int64), axis=1)
    chosen = tail.add("GreaterOrEqual", share, tail.constant(decide.threshold, np.float32))
    yes, no = (tail.constant(labels[code : code + 1]) for code in (positive, 1 - positive))
    tail.add("Where", chosen, yes, no, output="prediction")


def _label_array(decide: Decide) -> Any:
    labels = np.asarray(decide.classes)
    if labels.dtype.kind in "iub":
        return labels.astype(np.int64)
    if labels.dtype.kind in "OU":
        return np.asarray([str(label) for label in decide.classes], dtype=object)
    raise InputError(f"class labels are whole numbers or text, got {labels.dtype}; convert the target column")


def _renamed(tail: _graph.Graph, old: str, new: str) -> None:
    for node in tail.nodes:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


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
