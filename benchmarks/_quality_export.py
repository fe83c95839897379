"""The contestants' models of quality.py as ONNX, by the tools that their users have: onnxmltools and skl2onnx.

Writes export.onnx, which takes rows as they stand before the estimator itself (categories as codes, all of them
float32: a ready tensor), and export.npz with such rows and what it answers to them. Says why where it does not work.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd


def untuned(model: Any, train: pd.DataFrame, judged: pd.DataFrame, run: Path, task: SimpleNamespace) -> dict[str, Any]:
    """Export a model that was fitted on `train` itself."""
    return _tried(model, _codes(judged), run, task)


def flaml(found: Any, judged: pd.DataFrame, run: Path, task: SimpleNamespace) -> dict[str, Any]:
    """Export the best estimator of FLAML; what FLAML does with rows before it is done beforehand."""
    rows = found.model._preprocess(found.preprocess(judged))
    return _tried(found.model.estimator, _codes(rows), run, task)


def _codes(rows: Any) -> np.ndarray[Any, Any]:
    """Rows as float32, categories as their codes and missing ones as NaN."""
    if not isinstance(rows, pd.DataFrame):
        return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype=np.float32)
    columns = {}
    for name in rows:
        column = rows[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.cat.codes.where(column.cat.codes >= 0)
        columns[name] = column
    return pd.DataFrame(columns).to_numpy(np.float32)


def _tried(model: Any, rows: np.ndarray[Any, Any], run: Path, task: SimpleNamespace) -> dict[str, Any]:
    try:
        content, notes = _converted(model, rows)
        answers = _answered(content, rows, task)
    except Exception as error:  # whatever a converter raises is the reason that is recorded
        return {"refused": f"{type(model).__name__}: {type(error).__name__}: {error}".splitlines()[0][:300]}
    (run / "export.onnx").write_bytes(content)
    np.savez(run / "export.npz", rows=rows[:256], **answers)
    return {"model": type(model).__name__, "bytes": len(content), "notes": notes}


def _converted(model: Any, rows: np.ndarray[Any, Any]) -> tuple[bytes, list[str]]:
    """The model in ONNX, and what had to be done for it."""
    kind = type(model).__module__.split(".")[0]
    convert = {"lightgbm": _lightgbm, "xgboost": _xgboost, "sklearn": _sklearn}.get(kind)
    if convert is None:
        raise ValueError(f"no converter for {kind}")
    try:
        return convert(model, rows), []
    except Exception:  # skl2onnx 1.20 hands onnx 1.23 booleans for integers, which fails under several names
        content = _with_numbers(lambda: convert(model, rows))
    return content, ["refused as it is; the converter's booleans were handed to onnx as integers"]


def _with_numbers(convert: Callable[[], bytes]) -> bytes:
    """Convert while onnx takes booleans for the integers that they stand for."""
    from onnx import helper

    plain = helper.make_attribute

    def make(key: str, value: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(value, list | tuple | np.ndarray):
            value = [int(one) if isinstance(one, bool | np.bool_) else one for one in value]
        return plain(key, value, *rest, **named)

    helper.make_attribute = make
    try:
        return convert()
    finally:
        helper.make_attribute = plain


def _lightgbm(model: Any, rows: np.ndarray[Any, Any]) -> bytes:
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    kinds = [("x", FloatTensorType([None, rows.shape[1]]))]
    return onnxmltools.convert_lightgbm(model, initial_types=kinds, zipmap=False).SerializeToString()


def _xgboost(model: Any, rows: np.ndarray[Any, Any]) -> bytes:
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    # its converter wants columns called f0, f1 ...
    model.get_booster().feature_names = None
    kinds = [("x", FloatTensorType([None, rows.shape[1]]))]
    return onnxmltools.convert_xgboost(model, initial_types=kinds).SerializeToString()


def _sklearn(model: Any, rows: np.ndarray[Any, Any]) -> bytes:
    from skl2onnx import to_onnx

    options = {"zipmap": False} if hasattr(model, "classes_") else None
    return to_onnx(model, rows[:1], options={id(model): options} if options else None).SerializeToString()


def _answered(content: bytes, rows: np.ndarray[Any, Any], task: SimpleNamespace) -> dict[str, np.ndarray[Any, Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: rows})
    if task.task == "regression":
        return {"value": np.asarray(found[0], dtype=float).reshape(-1)}
    chances = np.asarray(found[1], dtype=float)
    return {"label": chances.argmax(axis=1), "probability": chances}
