"""Targets: what task they ask for, and their codes or values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input import cells
from trimwatt.input.checks import listed, shown
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
    chosen = _task_of(whole, name) if task == "auto" else _asked(whole, task, name)
    if chosen == "regression":
        if np.ptp(whole) == 0:
            raise InputError(f"{name} holds one value only ({whole[0]:g}); there is nothing to learn; name another")
        return {part: y.astype(np.float64) for part, y in flat.items()}, None, "regression"
    classes = _classes(whole, name)
    code = {label: number for number, label in enumerate(classes)}
    return {part: _codes(y, code) for part, y in flat.items()}, classes, "classification"


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


def _codes(y: Array, code: dict[Any, int]) -> Array:
    return np.fromiter((code[_label(value)] for value in y.tolist()), dtype=np.int64, count=len(y))


def _label(value: Any) -> Any:
    """Whole numbers are int labels; other numbers are labelled as they print."""
    if isinstance(value, str):
        return value
    return int(value) if float(value).is_integer() else f"{value:g}"


def _classes(whole: Array, name: str) -> tuple[Any, ...]:
    labels = {_label(value) for value in set(whole.tolist())}
    if len({type(label) for label in labels}) > 1:
        labels = {str(label) for label in labels}
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
        return _from_objects(y)
    raise InputError(f"{name} has type {y.dtype}; numbers or text are allowed; convert it")


def _is_one_hot(y: Array) -> bool:
    return y.dtype.kind in "biuf" and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _from_objects(y: Array) -> Array:
    values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in y.tolist()]
    if all(isinstance(v, int | float | np.number) for v in values):
        return np.array(values, dtype=np.float64)
    return cells.text(["" if v is None or v != v else str(v) for v in values])


def _check_present(y: Array, name: str) -> None:
    if len(y) == 0:
        raise InputError(f"{name} is empty; give at least some rows")
    bad = np.flatnonzero(y == "") if y.dtype == object else np.flatnonzero(~np.isfinite(y))
    if len(bad) == 0:
        return
    kind = "missing" if y.dtype == object or np.isnan(y[bad]).all() else "NaN or infinite"
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
