"""Targets: their cells are read here; what task they ask for, and their codes or values, a task says."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt import tasks
from trimwatt.errors import InputError
from trimwatt.input.raw import objects
from trimwatt.rows import cells, columns, dates
from trimwatt.tasks import RawTarget, Task, refuse_date
from trimwatt.workload import Array

# fewer rows for each distinct cell, and text is no list of classes
_ROWS_A_CLASS = 10


@dataclass(frozen=True, eq=False)
class Encoded:
    """A target as `Split.y` holds it, by part. notes: what to say of a task that was chosen by its look."""

    parts: dict[str, Array]
    classes: tuple[Any, ...] | None
    task: Task
    notes: tuple[str, ...] = ()


def encode(parts: Mapping[str, Array], task: str, name: str, labels: tuple[str, ...] | None = None) -> Encoded:
    """What the task asked, or with "auto" the one that the target looks like, makes of a target.

    parts: raw targets `(n,)`, `(n, 1)`, one-hot `(n, k)` or labels of 0 and 1 `(n, k)`. name: what messages call the
    target. labels: the names of its columns, where it came as several.
    Raises InputError for missing, infinite or single-valued targets, and for what the task asked does not take.
    """
    asked = None if task == "auto" else tasks.get(task)
    one_of_many = labels is None if asked is None else asked.target != "labels"
    target = read(parts, name, labels, one_of_many)
    if asked is not None:
        return Encoded(*asked.encode(target, asked=True), asked)
    chosen = tasks.choose(target)
    return Encoded(*chosen.encode(target, asked=False), chosen, chosen.announce(target))


def read(
    parts: Mapping[str, Array], name: str, labels: tuple[str, ...] | None = None, one_hot: bool = True
) -> RawTarget:
    """The cells of a target, before a task is known; raises InputError for missing or infinite ones.

    one_hot: whether several columns, of which each row has one 1, are the places of that one.
    """
    one_hot = one_hot and all(_is_one_hot(np.asarray(y)) for y in parts.values())
    flat = {part: _flat(np.asarray(y), name, one_hot) for part, y in parts.items()}
    if len({y.dtype == object for y in flat.values()}) > 1:
        raise InputError(f"{name} is text in some splits and numbers in others; give one kind")
    for part, y in flat.items():
        _check_present(y, name if part == "all" else f"{name} ({part} rows)")
    single = all(getattr(y, "dtype", None) in (np.float32, np.float16) for y in parts.values())
    whole = np.concatenate(list(flat.values()))
    numbers = _styled_numbers(whole)
    return RawTarget(name, flat, labels, numbers, _are_dates(whole), single)


def _styled_numbers(whole: Array) -> Array | None:
    """Numbers that came as text; None for all else."""
    is_text = whole.dtype == object and whole.ndim == 1
    style = cells.style_of(set(whole.tolist())) if is_text else None
    return None if style is None else cells.styled_numbers(whole.tolist(), style)


def _are_dates(whole: Array) -> bool:
    """Whether text is dates, of which there are too many to be classes."""
    if whole.dtype != object or whole.ndim != 1:
        return False
    distinct = set(whole.tolist())
    return len(distinct) * _ROWS_A_CLASS > len(whole) and dates.order_of(distinct) not in (None, "clock")


def _flat(y: Array, name: str, one_hot: bool) -> Array:
    """`(n,)` or `(n, k)` as float64, int64 or object text."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    elif one_hot:
        y = y.argmax(axis=1)
    if y.ndim not in (1, 2):
        raise InputError(f"{name} has shape {y.shape}; one value a row, (n,) or (n, 1), or one-hot (n, k) is allowed")
    if y.dtype.kind in "biu":
        return y.astype(np.int64)
    if y.dtype.kind == "f":
        return y.astype(np.float64)
    if y.ndim == 2:
        return y.astype(object)
    if y.dtype.kind in "OUS":
        return _from_objects(y, name)
    if y.dtype.kind == "M":
        raise InputError(refuse_date(name))
    raise InputError(f"{name} has type {y.dtype}; numbers or text are allowed; convert it")


def _is_one_hot(y: Array) -> bool:
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf":
        return False
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _from_objects(y: Array, name: str) -> Array:
    values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in y.tolist()]
    if set(map(type, values)) <= {str, type(None)}:
        return objects(values)
    present = [v for v in values if not columns.is_missing(v)]
    if any(isinstance(v, datetime.date | np.datetime64) for v in present):
        raise InputError(refuse_date(name))
    if not present or not all(isinstance(v, int | float | np.number | np.bool_) for v in present):
        return objects(None if columns.is_missing(v) else str(v) for v in values)
    if len(present) == len(values) and all(isinstance(v, int | np.integer | np.bool_) for v in present):
        return np.array([int(v) for v in present])
    return np.array([np.nan if columns.is_missing(v) else float(v) for v in values])


def _check_present(y: Array, name: str) -> None:
    if len(y) == 0:
        raise InputError(f"{name} is empty; give at least some rows")
    text = y.dtype == object
    missing = np.array([value is None for value in y.tolist()]) if text else ~np.isfinite(y)
    bad = np.flatnonzero(missing.reshape(len(y), -1).any(axis=1))
    if len(bad) == 0:
        return
    kind = "missing" if text or np.isnan(y[missing]).all() else "NaN or infinite"
    raise InputError(f"{name} is {kind} in {len(bad)} of {len(y)} rows (first: row {bad[0] + 1}); fill or remove them")
