"""A target of classes: whether it is one, its labels and their codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt._printable import shown
from trimwatt.errors import InputError
from trimwatt.tasks._base import Array, RawTarget, refuse_columns, refuse_date

_FEW_CLASSES = 20
_MANY_CLASSES = 50
_ROWS_A_CLASS = 20
# ten rows are six, two and two in train, val and test
_LEAST_ROWS_A_CLASS = 10


def are_classes(numbers: Array) -> bool:
    """Whether numbers (n,) look like classes: whole, and few for so many rows."""
    if not np.array_equal(numbers, np.round(numbers)):
        return False
    distinct, rows = len(np.unique(numbers)), len(numbers)
    few = distinct <= _FEW_CLASSES and rows >= _LEAST_ROWS_A_CLASS * distinct
    many = distinct <= _MANY_CLASSES and rows >= _ROWS_A_CLASS * distinct
    return distinct == 1 or few or many


def are_codes(numbers: Array) -> bool:
    """Whether whole numbers (n,) are two values, or codes from 0 on of few classes."""
    values = np.unique(numbers)
    return len(values) <= 2 or (len(values) <= _FEW_CLASSES and np.array_equal(values, np.arange(len(values))))


def encode(target: RawTarget, asked: bool) -> tuple[dict[str, Array], tuple[Any, ...]]:
    """Codes (n,) of each part and the label of each code; raises InputError for what are no classes."""
    whole = target.whole
    refuse_columns(target)
    if asked:
        _refuse_many(whole, target.name)
    if target.dates:
        raise InputError(refuse_date(target.name))
    labels = _labels(whole, target.single)
    classes = _classes(set(labels.values()), target.name)
    place = {label: code for code, label in enumerate(classes)}
    codes = {value: place[label] for value, label in labels.items()}
    return {part: _codes(y, codes) for part, y in target.parts.items()}, classes


def _refuse_many(whole: Array, name: str) -> None:
    distinct = len(set(whole.tolist()))
    if distinct > max(2, 2 * len(whole) // _LEAST_ROWS_A_CLASS):
        raise InputError(
            f"{name} has {distinct} distinct values in {len(whole)} rows, too many for classes; "
            "use --task regression or name another target"
        )


def _codes(y: Array, codes: dict[Any, int]) -> Array:
    return np.fromiter(map(codes.__getitem__, y.tolist()), dtype=np.int64, count=len(y))


def _labels(whole: Array, single: bool) -> dict[Any, Any]:
    """The label of each value, all of one type. single: the numbers are float32."""
    labels = {value: _label(value, single) for value in set(whole.tolist())}
    if len({type(label) for label in labels.values()}) > 1:
        return {value: str(label) for value, label in labels.items()}
    return labels


def _label(value: Any, single: bool) -> Any:
    """Whole numbers are int labels; other numbers are labelled by all the digits that tell them from others."""
    if isinstance(value, str):
        return value
    if float(value).is_integer():
        return int(value)
    return str(np.float32(value)) if single else repr(float(value))


def _classes(labels: set[Any], name: str) -> tuple[Any, ...]:
    if len(labels) == 1:
        raise InputError(
            f"{name} holds one class only ({shown(str(next(iter(labels))))}); at least two are needed; "
            "name another target or add rows of another class"
        )
    return tuple(sorted(labels))
