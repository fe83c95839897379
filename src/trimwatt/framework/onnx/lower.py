"""Lowering: any fitted model to serialized ONNX, the core network alone."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed, first_line
from trimwatt.framework import _graph
from trimwatt.framework.decision import known_classes, score_method, without_threshold
from trimwatt.framework.each import Each
from trimwatt.framework.onnx import _edit, _exact, _labels, run
from trimwatt.framework.onnx._direct import direct
from trimwatt.framework.prepare import StackPrepare
from trimwatt.framework.sklearn import first_step, known_columns, last_step
from trimwatt.rows.columns import kind_of
from trimwatt.workload import Array, Stored, Workload


def lower(workload: Workload) -> Workload:
    """The workload with its model as ONNX bytes; preprocessing and decision stay as they are.

    Raises TrialFailed where the model cannot be converted.
    """
    if workload.form == "onnx":
        return workload
    if workload.form == "torch":
        from trimwatt.framework.torch import to_onnx

        return replace(workload, model=to_onnx(workload), form="onnx")
    if workload.form == "sklearn":
        return _from_sklearn(workload)
    raise InputError("there is no model to lower yet; put a step that trains one before it")


def _from_sklearn(workload: Workload) -> Workload:
    """In float32 where that answers as scikit-learn does, else with the numbers of a given model as they are stored."""
    stacked = _stacked(workload)
    if not _exact.wider(workload):
        return _in_single(stacked)
    moved = frozenset(_exact.rounded(workload))
    # converters that stumble over 64 bits in every column may take them in those that need it
    ways: list[Callable[[Workload], Workload]] = [_in_single, partial(_in_full, only=moved), _in_full]
    tried = [_attempt(make, stacked) for make in ways if moved or make is not ways[1]]
    found = [made for made in tried if isinstance(made, Workload)]
    errors = [_exact.error(workload, made) for made in found]
    if errors and min(errors) <= _exact.BOUND:
        return found[next(i for i, error in enumerate(errors) if error <= max(_exact.EXACT, min(errors)))]
    if moved:
        raise TrialFailed(
            f"ONNX answers otherwise: numbers of {_few(moved)} change in float32, and no wider export works"
        )
    if not found:
        raise next(made for made in tried if isinstance(made, TrialFailed))
    return found[0]


def _attempt(make: Callable[[Workload], Workload], workload: Workload) -> Workload | TrialFailed:
    try:
        return make(workload)
    except TrialFailed as error:
        return error


def _stacked(workload: Workload) -> Workload:
    """Named columns as one array for an estimator that takes them so, which no converter knows by itself."""
    rows = workload.rows.train.x
    if workload.prepare is not None or not isinstance(rows, Stored):
        return workload
    given = known_columns(workload.model, rows)
    first = first_step(workload.model)
    apart = len(given) == 1 or type(first).__name__ in ("ColumnTransformer", "FunctionTransformer")
    if apart or any(kind_of(column) != "number" for column in given.values()):
        return workload
    return replace(workload, prepare=StackPrepare.of(given))


def _in_single(workload: Workload) -> Workload:
    inputs = _inputs(workload)
    # the threshold is part of the decision, which stands apart
    workload = replace(workload, model=without_threshold(workload.model))
    name, first = next(iter(inputs.items()))
    classify = workload.task.target == "class"
    written = direct(workload.model, name, first.shape[1], classify) if _ndim(first) == 2 else None
    if written is None and isinstance(workload.model, Each):
        raise TrialFailed(f"{type(workload.model.classifier).__name__} of several labels cannot be exported to ONNX")
    model, outputs = written or (_by_skl2onnx(workload, inputs, _initial), workload.outputs)
    if workload.prepare is None and _ndim(first) > 1:
        _accept(model, first.dtype)
    return replace(workload, model=bytes(model.SerializeToString()), form="onnx", outputs=outputs)


def _few(names: Collection[str]) -> str:
    found = sorted(names)
    return ", ".join(map(repr, found[:6])) + (f" and {len(found) - 6} more" if len(found) > 6 else "")


def _in_full(workload: Workload, only: Collection[str] | None = None) -> Workload:
    """The estimator on numbers of 64 bits, those of the columns `only` or of all: whole ones int64, others float64."""
    inputs = _inputs(workload)
    workload = replace(workload, model=without_threshold(workload.model))

    def initial(array: Any, name: str) -> Any:
        apart = only is not None and isinstance(inputs, Stored) and name not in only
        return _initial(array, name) if apart else _initial_in_full(array, name)

    model = _by_skl2onnx(workload, inputs, initial)
    prepare = workload.prepare
    if isinstance(prepare, StackPrepare):
        prepare = replace(prepare, entry=_exact.full(inputs["prepared"]).name)
    elif prepare is None and not isinstance(inputs, Stored):
        _accept(model, inputs["x"].dtype, _exact.full(inputs["x"]))
    return replace(workload, model=bytes(model.SerializeToString()), form="onnx", prepare=prepare)


def _ndim(column: Any) -> int:
    return getattr(column, "ndim", 1)


def _by_skl2onnx(workload: Workload, inputs: dict[str, Array], initial: Callable[[Any, str], Any]) -> Any:
    model = _converted(workload, [(name, initial(array, name)) for name, array in inputs.items()])
    _edit.set_names_apart(model, "skl/")
    # skl2onnx writes "hours per week" as hours_per_week
    _edit.rename(model.graph, {e.name: name for e, name in zip(_edit.free_inputs(model), inputs, strict=True)})
    _labels.unzip(model)
    if workload.task.target == "class" and score_method(workload.model) == "predict":
        _edit.keep_outputs(model, [_one_hot(model, workload)])
    else:
        _edit.keep_outputs(model, [_output(model, workload)])
    if workload.outputs == "logits" and len(workload.rows.classes or ()) == 2:
        _second_column(model, inputs)
    _same_missing(model)
    return model


def _inputs(workload: Workload) -> dict[str, Array]:
    """What the estimator is given, by input name: one row each."""
    rows = workload.rows.train.take(slice(0, 1)).x
    if workload.prepare is not None:
        return {"prepared": workload.prepare.transform(rows)}
    return known_columns(workload.model, rows) if isinstance(rows, dict) else {"x": rows}


def _initial(array: Any, name: str) -> Any:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kind = StringTensorType if _is_text(array, name) else FloatTensorType
    return kind([None, *(array.shape[1:] or (1,))])


def _initial_in_full(array: Any, name: str) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType

    kinds = {"int64": Int64TensorType, "float64": DoubleTensorType}
    kind = StringTensorType if _is_text(array, name) else kinds[_exact.full(array).name]
    return kind([None, *(array.shape[1:] or (1,))])


def _is_text(column: Any, name: str) -> bool:
    kind = kind_of(column)
    if kind == "date":
        raise TrialFailed(f"column {name!r} holds dates, which no ONNX model reads; use the runtime sklearn")
    return kind == "text"


def _converted(workload: Workload, initial: list[tuple[str, Any]]) -> Any:
    skl2onnx = require("skl2onnx", "onnx", "Exporting scikit-learn models")
    versions = {"": _graph.OPSET, "ai.onnx.ml": _graph.ML_OPSET}
    name = type(workload.model).__name__
    for options in _options(workload):
        try:
            with warnings.catch_warnings(), _plain_attributes():
                warnings.simplefilter("ignore")
                return skl2onnx.convert_sklearn(
                    workload.model, name="core", initial_types=initial, target_opset=versions, options=options
                )
        except NameError as error:  # what skl2onnx raises for an option that an estimator does not have
            reason: Exception = error
        except Exception as error:  # converters raise anything, from RuntimeError to IndexError
            reason = error
            break
    raise TrialFailed(f"scikit-learn's {name} cannot be exported to ONNX: {first_line(reason)}") from reason


def _options(workload: Workload) -> list[dict[Any, Any]]:
    """What to ask of the converter, the best first; not every estimator knows every option."""
    if workload.task.target == "value":
        return [{}]
    if workload.outputs != "logits":
        # asked of the whole model alone, since not every estimator inside it knows the option
        return [{"zipmap": False}, {id(workload.model): {"zipmap": False}}, {}]
    last = id(last_step(workload.model))
    return [{last: {"zipmap": False, "raw_scores": True}}, {last: {"raw_scores": True}}]


@contextlib.contextmanager
def _plain_attributes() -> Iterator[None]:
    """Numbers in attributes made plain: skl2onnx 1.20 hands booleans to onnx 1.23, which refuses them."""
    from onnx import helper

    original = helper.make_attribute

    def plain(key: str, content: Any, *rest: Any, **named: Any) -> Any:
        if key == "nodes_missing_value_tracks_true":
            content = [int(item) for item in content]
        return original(key, content, *rest, **named)

    helper.make_attribute = plain  # type: ignore[assignment]
    try:
        yield
    finally:
        helper.make_attribute = original


def _output(model: Any, workload: Workload) -> str:
    """The float output: the second of (label, probabilities), the only one of a regressor."""
    names = [entry.name for entry in model.graph.output]
    return str(names[0] if workload.task.target == "value" else names[-1])


def _one_hot(model: Any, workload: Workload) -> str:
    """Add the labels as probabilities of 0 and 1 (in place), for an estimator without scores; returns their name."""
    known = known_classes(workload.model, workload.rows.classes or ())
    return _labels.add_one_hot(model, model.graph.output[0].name, tuple(known))


def _second_column(model: Any, inputs: dict[str, Array]) -> None:
    """Of two decision values (-s, s) keep s, which is all that scikit-learn gives (in place)."""
    import onnx

    session = run.open_session(bytes(model.SerializeToString()))
    one = {n: v.reshape(1, -1).astype(run.types(session)[n]) for n, v in inputs.items() if _ndim(v) > 1}
    (got,) = session.run(None, one or run.feed(session, Stored(inputs)))
    if got.shape[1:] != (2,):
        return
    both = model.graph.output[0].name
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray([1], dtype=np.int64), f"{both}/second"))
    model.graph.node.append(onnx.helper.make_node("Gather", [both, f"{both}/second"], [f"{both}/one"], axis=1))
    one = onnx.helper.make_tensor_value_info(f"{both}/one", onnx.TensorProto.FLOAT, [None, 1])
    model.graph.output[0].CopyFrom(one)


def _same_missing(model: Any) -> None:
    """Encoders that learnt NaN as a category know it as "nan"; stored rows say "" (in place)."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("cats_strings", "keys_strings") and b"" not in attribute.strings:
                attribute.strings[:] = [b"" if word == b"nan" else word for word in attribute.strings]


def _accept(model: Any, dtype: Any, taken: Any = np.float32) -> None:
    """Let the input `x` come as stored (in place): scikit-learn took any number, so the cast to `taken` is its own."""
    import onnx

    if np.dtype(dtype) == taken:
        return
    _edit.rename(model.graph, {"x": "x/float"})
    entry = model.graph.input[0]
    entry.name = "x"
    entry.type.tensor_type.elem_type = _graph.element_type(dtype)
    model.graph.node.insert(0, onnx.helper.make_node("Cast", ["x"], ["x/float"], to=_graph.element_type(taken)))
