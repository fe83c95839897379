"""The user's ONNX model as it came, asked in ONNX Runtime by its own names and types."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework.onnx import _edit, _labels, run
from trimwatt.framework.onnx.adopt import NAMES_OF_GIVEN
from trimwatt.workload import Array, Rows, Workload, count, take

_TYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(int16)": np.int16, "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8, "tensor(uint16)": np.uint16, "tensor(bool)": np.bool_,
}  # fmt: skip


class Original:
    """An open session of the bytes that were given, beside what adoption understood of them."""

    def __init__(self, given: Workload, adopted: Workload) -> None:
        self._adopted = adopted
        self._session = run.open_session(given.model)
        self._inputs = self._session.get_inputs()
        self._outputs = [entry.name for entry in self._session.get_outputs()]
        (core,) = (entry.name for entry in _edit.load(adopted.model).graph.output)
        self._core = core.removeprefix(NAMES_OF_GIVEN)
        shape = self._inputs[0].shape
        self._fixed = shape[0] if shape and isinstance(shape[0], int) else None

    def ask(self, own: Any, stored: Rows) -> tuple[Array | None, Array | None]:
        """Codes and scores, as `framework.own.Answer` holds them."""
        parts = [self._run(self._feed(own, stored, index), len(index)) for index in self._requests(count(stored))]
        found = [np.concatenate([part[place] for part in parts]) for place in range(len(self._outputs))]
        named = {name: array[: count(stored)] for name, array in zip(self._outputs, found, strict=True)}
        codes, scores = self._read(named, count(stored))
        if codes is None and scores is None:
            names = ", ".join(self._outputs)
            raise InputError(
                f"which output of the ONNX model is its answer cannot be told ({names}); keep only that one"
            )
        return codes, scores

    def _requests(self, n: int) -> list[Array]:
        """Row numbers request by request; a model of a fixed batch gets as many rows as it asks for."""
        step = self._fixed or n
        return [np.arange(start, start + step) % n for start in range(0, n, step)]

    def _run(self, feed: dict[str, Array], n: int) -> list[Array]:
        return [_as_array(value) for value in self._session.run(None, feed)]

    def _feed(self, own: Any, stored: Rows, index: Array) -> dict[str, Array]:
        prepare = self._adopted.prepare
        if prepare is not None:
            return self._one(prepare.transform(take(stored, index)))
        if isinstance(stored, dict):
            return {entry.name: self._column(own, stored, entry, index) for entry in self._inputs}
        return self._one(np.asarray(own)[index] if own is not None else take(stored, index))

    def _one(self, rows: Any) -> dict[str, Array]:
        return {self._inputs[0].name: np.ascontiguousarray(rows)}

    def _column(self, own: Any, stored: dict[str, Array], entry: Any, index: Array) -> Array:
        """A column as the model declares it; numbers from the user's own rows, text as stored."""
        values = stored[entry.name]
        if entry.type in _TYPES:
            theirs = None if own is None or entry.name not in own else np.asarray(own[entry.name])
            values = theirs if theirs is not None and theirs.dtype.kind in "biuf" else values
            return np.asarray(values)[index].astype(_TYPES[entry.type]).reshape(-1, 1)
        return values[index].astype(object).reshape(-1, 1)

    def _read(self, named: dict[str, Array], n: int) -> tuple[Array | None, Array | None]:
        adopted = self._adopted
        # where adoption made scores out of labels, the model's own scores are not what it answers with
        by_labels = self._core.startswith(_labels.OF_LABELS)
        raw = None if by_labels else named.get(self._core, self._of_width(named, n))
        scores = None if raw is None else adopted.probabilities(raw)
        if adopted.decide is None:
            return None, scores
        labels = next((a for a in named.values() if a.dtype.kind in "iOU" and a.size == n), None)
        by_scores = None if scores is None else adopted.decide.codes(scores)
        if labels is None:
            return by_scores, scores
        readings = [codes for codes in self._readings(labels.reshape(-1).tolist()) if codes is not None]
        if not readings or (by_scores is None and len(readings) == 1):
            return readings[0] if readings else by_scores, scores
        return max(readings, key=lambda codes: float(np.mean(codes == by_scores))), scores

    def _of_width(self, named: dict[str, Array], n: int) -> Array | None:
        """The only output that can be the scores or the value, None where there are none or several."""
        classes = 1 if self._adopted.decide is None else len(self._adopted.class_columns or self._adopted.answers)
        widths = {1, classes} if classes <= 2 else {classes}
        fitting = [a for a in named.values() if a.dtype.kind == "f" and len(a) == n and a.size // n in widths]
        return fitting[0] if len(fitting) == 1 else None

    def _readings(self, said: list[Any]) -> list[Array | None]:
        """The class code of each label that the model said: as a label of the data, and as the number of a column."""
        classes = self._adopted.decide.classes if self._adopted.decide else ()
        columns = self._adopted.class_columns or tuple(range(len(classes)))
        place = {label: code for code, label in enumerate(classes)}
        by_name = [place[label] for label in said] if set(said) <= set(place) else None
        whole = all(isinstance(label, int) and 0 <= label < len(columns) for label in said)
        by_column = [columns[label] for label in said] if whole else None
        return [None if codes is None else np.array(codes, dtype=np.int64) for codes in (by_name, by_column)]


def _as_array(value: Any) -> Array:
    """An output as an array; dictionaries of labels and scores as their scores."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return np.array([list(row.values()) for row in value], dtype=np.float32)
    return np.asarray(value)
