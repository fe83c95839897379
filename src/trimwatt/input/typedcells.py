"""Cells of a text file in the types that pandas.read_csv gives them, which is what a given model was fitted on."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from trimwatt.input.raw import objects
from trimwatt.rows import columns
from trimwatt.rows.cells import PANDAS_MISSING as MISSING
from trimwatt.workload import Array

_WORDS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


def typed(values: Sequence[str]) -> list[str] | Array:
    """A chunk of a column as int64, float64 or booleans (objects with NaN where missing), else the cells themselves."""
    return _ints(values) if _starts_like_number(values) else _booleans(values)


def _starts_like_number(values: Sequence[str]) -> bool:
    first = next((v.strip() for v in values if v.strip() not in MISSING), "nan")
    try:
        float(first)
    except ValueError:
        return False
    return "_" not in first


def _ints(values: Sequence[str]) -> list[str] | Array:
    if any("_" in value for value in values):
        return list(values)
    try:
        return np.fromiter(map(int, values), dtype=np.int64, count=len(values))
    except (ValueError, OverflowError):
        pass  # missing or decimal ones among them
    try:
        return np.array([np.nan if value.strip() in MISSING else float(value) for value in values])
    except ValueError:
        return list(values)


def _booleans(values: Sequence[str]) -> list[str] | Array:
    known = {value: _WORDS.get(value, np.nan if value in MISSING else None) for value in set(values)}
    if None in known.values():
        return list(values)
    found = [known[value] for value in values]
    return np.array(found) if all(type(value) is bool for value in found) else objects(found)


def joined(chunks: Sequence[list[str] | Array]) -> Any:
    """The whole column in one type, None where it is text in some chunks and something else in others."""
    telling = [chunk for chunk in chunks if isinstance(chunk, list) or not _is_empty(chunk)]
    if not telling:
        return np.concatenate([np.asarray(chunk) for chunk in chunks])
    if all(isinstance(chunk, list) for chunk in telling):
        return _text([value for chunk in chunks for value in (chunk if isinstance(chunk, list) else [""] * len(chunk))])
    kinds = {_kind(chunk) for chunk in telling}
    if len(kinds) > 1:
        return None
    arrays = [np.asarray(chunk) for chunk in chunks]
    if kinds == {"number"} or all(array.dtype == bool for array in arrays):
        return np.concatenate(arrays)
    return objects(value for array in arrays for value in array.tolist())


def _kind(chunk: list[str] | Array) -> str:
    if isinstance(chunk, list):
        return "text"
    return "truth" if chunk.dtype.kind in "bO" else "number"


def _is_empty(chunk: Array) -> bool:
    return chunk.dtype.kind == "f" and bool(np.isnan(chunk).all())


def _text(values: list[str]) -> Any:
    """Text with NaN for missing, in the type of pandas' text where pandas is there."""
    pool: dict[str, Any] = {}
    cells = objects(pool.setdefault(value, np.nan if value in MISSING else value) for value in values)
    if not importlib.util.find_spec("pandas"):
        return cells
    import pandas

    return columns.stored(pandas.Series(cells))
