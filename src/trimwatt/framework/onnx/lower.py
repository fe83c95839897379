"""Lowering: any fitted model to serialized ONNX, the core network alone."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import _graph
from trimwatt.framework.onnx import _edit
from trimwatt.workload import Array, Workload


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
        return replace(workload, model=_from_sklearn(workload), form="onnx")
    raise InputError("there is no model to lower yet; put a step that trains one before it")


def _from_sklearn(workload: Workload) -> bytes:
    inputs = _inputs(workload)
    model = _converted(workload, [(name, _initial(array)) for name, array in inputs.items()])
    _edit.keep_outputs(model, [_output(model, workload)])
    _same_missing(model)
    if "x" in inputs and workload.prepare is None:
        _accept(model, inputs["x"].dtype)
    return bytes(model.SerializeToString())


def _inputs(workload: Workload) -> dict[str, Array]:
    """What the estimator is given, by input name: one row each."""
    rows = workload.rows.train.take(slice(0, 1)).x
    if workload.prepare is not None:
        return {"prepared": workload.prepare.transform(rows)}
    return rows if isinstance(rows, dict) else {"x": rows}


def _initial(array: Array) -> Any:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kind = StringTensorType if array.dtype.kind in "OUST" else FloatTensorType
    return kind([None, *(array.shape[1:] or (1,))])


def _converted(workload: Workload, initial: list[tuple[str, Any]]) -> Any:
    skl2onnx = require("skl2onnx", "onnx", "Exporting scikit-learn models")
    versions = {"": _graph.OPSET, "ai.onnx.ml": _graph.ML_OPSET}
    given: dict[str, Any] = {}
    if workload.task == "classification":
        given["options"] = {"zipmap": False} | ({"raw_scores": True} if workload.outputs == "logits" else {})
    try:
        with warnings.catch_warnings(), _plain_attributes():
            warnings.simplefilter("ignore")
            return skl2onnx.convert_sklearn(
                workload.model, initial_types=initial, target_opset=versions, name="core", **given
            )
    except Exception as error:  # converters raise anything, from RuntimeError to IndexError
        name = type(workload.model).__name__
        raise TrialFailed(f"scikit-learn's {name} cannot be exported to ONNX: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]


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
    return str(names[0] if workload.task == "regression" else names[-1])


def _same_missing(model: Any) -> None:
    """Encoders that learnt NaN as a category know it as "nan"; stored rows say "" (in place)."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("cats_strings", "keys_strings") and b"" not in attribute.strings:
                attribute.strings[:] = [b"" if word == b"nan" else word for word in attribute.strings]


def _accept(model: Any, dtype: Any) -> None:
    """Let the input `x` come as stored (in place): scikit-learn took any number, so the cast is its own."""
    import onnx

    if np.dtype(dtype) == np.float32:
        return
    _edit.rename(model.graph, {"x": "x/float"})
    entry = model.graph.input[0]
    entry.name = "x"
    entry.type.tensor_type.elem_type = _graph.element_type(dtype)
    model.graph.node.insert(0, onnx.helper.make_node("Cast", ["x"], ["x/float"], to=onnx.TensorProto.FLOAT))
