"""What a study is about, as digests: a study is resumed only on the same rows and the same model."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from trimwatt.workload import Array, Rows, Split, Workload


def of(base: Workload, own: Any = None) -> dict[str, Any]:
    """Digests of the rows and of the model, and how answers are judged.

    own: the model as the user gave it: copies of a scikit-learn tree differ in bytes that mean nothing.
    """
    data = base.rows
    return {
        "data": _digest(*(part for split in (data.train, data.val, data.test) for part in _split(split))),
        "model": _model(base, own),
        "answers": [base.outputs, base.class_columns, base.answers],
        "metric": [base.quality.name, base.task.name, base.decide and base.decide.positive],
    }


def _digest(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    return found.hexdigest()


def _split(split: Split) -> list[bytes]:
    return [*_rows(split.x), _array(split.y)]


def _rows(rows: Rows) -> list[bytes]:
    if not isinstance(rows, dict):
        return [_array(rows)]
    return [part for name, column in rows.items() for part in (name.encode(), _array(column))]


def _array(values: Array) -> bytes:
    if not isinstance(values, np.ndarray) or values.dtype == object:
        # pandas' own arrays too: each cell as it is, in the type of its column
        return "\0".join([str(values.dtype), *map(repr, values.tolist())]).encode()
    if isinstance(values, np.ma.MaskedArray):
        return _array(np.ma.getmaskarray(values)) + _array(values.filled(0))
    return str((values.dtype, values.shape)).encode() + np.ascontiguousarray(values).tobytes()


def _model(base: Workload, own: Any) -> str | None:
    """Of an untrained module only its shapes count: its weights are drawn anew each time it is built."""
    if base.form == "none":
        return None
    if base.form == "onnx":
        return _digest(bytes(base.model))
    if base.form == "torch":
        state = {name: value.detach().cpu().numpy() for name, value in base.model.state_dict().items()}
        parts = [(name, str(value.shape).encode() if base.trainer else _array(value)) for name, value in state.items()]
        return _digest(*(part for name, value in parts for part in (name.encode(), value)))
    import joblib

    return str(joblib.hash(base.model if own is None else own))
