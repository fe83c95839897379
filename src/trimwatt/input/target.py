"""Targets: what task they ask for, and their codes or values."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input.checks import listed, shown
from trimwatt.input.raw import objects
from trimwatt.rows import cells, columns, dates
from trimwatt.workload import Array, Task

_FEW_CLASSES = 20
_MANY_CLASSES = 50
_ROWS_A_CLASS = 20
# ten rows are six, two and two in train, val and test
_LEAST_ROWS_A_CLASS = 10


def encode(parts: Mapping[str, Array], task: str, name: str) -> tuple[dict[str, Array], tuple[Any, ...] | None, Task]:
    """Codes (int64) or values (float64) of each part, the classes (None for regression) and the task.

    parts: raw targets `(n,)`, `(n, 1)` or one-hot `(n, k)`. name: what messages call the target.
    Raises InputError for missing, infinite or single-valued targets, and for text where numbers are asked.
    """
    flat = {part: _flat(np.asarray(y), name) for part, y in parts.items()}
    if len({y.dtype == object for y in flat.values()}) > 1:
        raise InputError(f"{name} is text in some splits and numbers in others; give one kind")
    for part, y in flat.items():
        _check_present(y, name if part == "all" else f"{name} ({part} rows)")
    whole = np.concatenate(list(flat.values()))
    if (numbers := _amounts(whole, task)) is not None:
        whole = numbers
        flat = dict(zip(flat, np.split(whole, np.cumsum([len(y) for y in flat.values()])[:-1]), strict=True))
    chosen = _task_of(whole, name) if task == "auto" else _asked(whole, task, name)
    if chosen == "regression":
        if np.ptp(whole) == 0:
            raise InputError(f"{name} holds one value only ({whole[0]:g}); there is nothing to learn; name another")
        return {part: y.astype(np.float64) for part, y in flat.items()}, None, "regression"
    _refuse_dates(whole, name)
    single = all(getattr(y, "dtype", None) in (np.float32, np.float16) for y in parts.values())
    labels = _labels(whole, single)
    classes = _classes(set(labels.values()), name)
    place = {label: code for code, label in enumerate(classes)}
    codes = {value: place[label] for value, label in labels.items()}
    return {part: _codes(y, codes) for part, y in flat.items()}, classes, "classification"


def announce_choice(parts: Mapping[str, Array], task: Task, name: str) -> tuple[str, ...]:
    """What to tell of a task that was chosen for whole numbers, with the option that chooses the other.

    Two values, and codes from 0 on of few classes, are classes without a word.
    """
    whole = np.concatenate([_flat(np.asarray(y), name) for y in parts.values()])
    if whole.dtype == object or not np.array_equal(whole, np.round(whole)):
        return ()
    values = np.unique(whole)
    span = f"{name} holds {len(values)} whole numbers from {int(values[0])} to {int(values[-1])}"
    if task == "regression":
        few = len(values) * _LEAST_ROWS_A_CLASS <= 2 * len(whole)
        return (f"{span}, taken as values; --task classification takes each as a class",) if few else ()
    codes = len(values) <= _FEW_CLASSES and np.array_equal(values, np.arange(len(values)))
    if codes or len(values) <= 2:
        return ()
    return (f"{span}, each taken as a class; --task regression predicts the number",)


def _amounts(whole: Array, task: str) -> Array | None:
    """Numbers that came as text and are values to predict, as asked or by their look; None for all else.

    What are classes stays the text it is: '0' and 0 are two labels.
    """
    if whole.dtype != object or task == "classification":
        return None
    style = cells.style_of(set(whole.tolist()))
    if style is None:
        return None
    numbers = cells.styled_numbers(whole.tolist(), style)
    return numbers if task == "regression" or _task_of(numbers, "") == "regression" else None


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


def _flat(y: Array, name: str) -> Array:
    """`(n,)` as float64, int64 or object text."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    elif y.ndim == 2 and _is_one_hot(y):
        y = y.argmax(axis=1)
    if y.ndim != 1:
        raise InputError(f"{name} has shape {y.shape}; one value a row, (n,) or (n, 1), or one-hot (n, k) is allowed")
    if y.dtype.kind in "biu":
        return y.astype(np.int64)
    if y.dtype.kind == "f":
        return y.astype(np.float64)
    if y.dtype.kind in "OUS":
        return _from_objects(y, name)
    if y.dtype.kind == "M":
        raise InputError(_a_date(name))
    raise InputError(f"{name} has type {y.dtype}; numbers or text are allowed; convert it")


def _refuse_dates(whole: Array, name: str) -> None:
    """Raise InputError for text that is dates, of which there are too many to be classes."""
    if whole.dtype != object:
        return
    distinct = set(whole.tolist())
    if len(distinct) * _LEAST_ROWS_A_CLASS > len(whole) and dates.order_of(distinct) not in (None, "clock"):
        raise InputError(_a_date(name))


def _a_date(name: str) -> str:
    return f"{name} holds dates, and a date cannot be predicted; give a number, such as days until then"


def _is_one_hot(y: Array) -> bool:
    return y.dtype.kind in "biuf" and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _from_objects(y: Array, name: str) -> Array:
    values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in y.tolist()]
    if set(map(type, values)) <= {str, type(None)}:
        return objects(values)
    present = [v for v in values if not columns.is_missing(v)]
    if any(isinstance(v, datetime.date | np.datetime64) for v in present):
        raise InputError(_a_date(name))
    if not present or not all(isinstance(v, int | float | np.number | np.bool_) for v in present):
        return objects(None if columns.is_missing(v) else str(v) for v in values)
    if len(present) == len(values) and all(isinstance(v, int | np.integer | np.bool_) for v in present):
        return np.array([int(v) for v in present])
    return np.array([np.nan if columns.is_missing(v) else float(v) for v in values])


def _check_present(y: Array, name: str) -> None:
    if len(y) == 0:
        raise InputError(f"{name} is empty; give at least some rows")
    text = y.dtype == object
    bad = np.flatnonzero([value is None for value in y.tolist()] if text else ~np.isfinite(y))
    if len(bad) == 0:
        return
    kind = "missing" if text or np.isnan(y[bad]).all() else "NaN or infinite"
    raise InputError(f"{name} is {kind} in {len(bad)} of {len(y)} rows (first: row {bad[0] + 1}); fill or remove them")


def _task_of(whole: Array, name: str) -> Task:
    if whole.dtype == object:
        return "classification"
    if not np.array_equal(whole, np.round(whole)):
        return "regression"
    distinct, rows = len(np.unique(whole)), len(whole)
    if distinct == 1:
        return "classification"
    few = distinct <= _FEW_CLASSES and rows >= _LEAST_ROWS_A_CLASS * distinct
    many = distinct <= _MANY_CLASSES and rows >= _ROWS_A_CLASS * distinct
    return "classification" if few or many else "regression"


def _asked(whole: Array, task: str, name: str) -> Task:
    if task == "regression":
        if whole.dtype == object:
            examples = listed(dict.fromkeys(whole[:1000].tolist()), 3)
            raise InputError(
                f"{name} holds text ({examples}), regression needs numbers; "
                "use --task classification or name a numeric target"
            )
        return "regression"
    distinct = len(set(whole.tolist()))
    if distinct > max(2, 2 * len(whole) // _LEAST_ROWS_A_CLASS):
        raise InputError(
            f"{name} has {distinct} distinct values in {len(whole)} rows, too many for classes; "
            "use --task regression or name another target"
        )
    return "classification"
