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

_INT64, _UINT64 = (-(2**63), 2**63 - 1), 2**64 - 1
_WORDS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


def typed(values: Sequence[str]) -> list[str] | Array:
    """Cells of a column as int64, uint64, float64 or booleans (objects where beyond or missing), else as they are."""
    return _numbers(values) if _starts_like_number(values) else _booleans(values)


def _starts_like_number(values: Sequence[str]) -> bool:
    first = next((v for v in values if v not in MISSING), "nan")
    try:
        float(first)
    except ValueError:
        return False
    return True


def _numbers(values: Sequence[str]) -> list[str] | Array:
    together = "\n".join(values)
    if not together.isascii() or "_" in together:  # Python's numbers, but not those of tables
        return list(values)
    try:
        return np.fromiter(map(int, values), dtype=np.int64, count=len(values))
    except (ValueError, OverflowError):
        pass  # missing, decimal or large ones among them
    return _large(values) if _is_large_first(values) else _floats(values)


def _floats(values: Sequence[str]) -> list[str] | Array:
    try:
        numbers = np.array([np.nan if value in MISSING else float(value) for value in values])
    except ValueError:
        return list(values)
    # float() knows more words for NaN than pandas does
    known = np.isnan(numbers).sum() == sum(map(MISSING.__contains__, values))
    return numbers if known else list(values)


def _is_large_first(values: Sequence[str]) -> bool:
    """Whether a whole number beyond int64 comes before any number that is not whole, which makes all float64."""
    try:
        return any(not _INT64[0] <= int(value) <= _INT64[1] for value in values if value not in MISSING)
    except ValueError:
        return False


def _large(values: Sequence[str]) -> list[str] | Array:
    """Whole numbers, the first few at least, some beyond int64: uint64, objects beyond that, float64 or text."""
    numbers: list[Any] = []
    for value in values:
        try:
            numbers.append(np.nan if value in MISSING else int(value))
        except ValueError:
            beyond = any(number > _UINT64 or number < 0 for number in numbers)
            return list(values) if beyond or value.lstrip().startswith("-") else _floats(values)
    whole = [number for number in numbers if isinstance(number, int)]
    if _INT64[0] <= min(whole) and max(whole) <= _UINT64:
        fits = min(whole) >= 0 and len(whole) == len(numbers)
        return np.array(numbers, dtype=np.uint64) if fits else list(values)
    return objects(numbers)


def _booleans(values: Sequence[str]) -> list[str] | Array:
    known = {value: _WORDS.get(value, np.nan if value in MISSING else None) for value in set(values)}
    if None in known.values():
        return list(values)
    found = [known[value] for value in values]
    return np.array(found) if all(type(value) is bool for value in found) else objects(found)


def joined(chunks: Sequence[list[str] | Array]) -> Any:
    """The whole column in one type, None where only all of its cells together say which that is."""
    telling = [chunk for chunk in chunks if isinstance(chunk, list) or not _is_empty(chunk)]
    if not telling:
        return np.concatenate([np.asarray(chunk) for chunk in chunks])
    if all(isinstance(chunk, list) for chunk in telling):
        return _text([value for chunk in chunks for value in (chunk if isinstance(chunk, list) else [""] * len(chunk))])
    kinds = {_kind(chunk) for chunk in telling}
    if len(kinds) > 1:
        return None
    arrays = [np.asarray(chunk) for chunk in chunks]
    if kinds == {"number"} or len({array.dtype for array in arrays}) == 1:
        return np.concatenate(arrays)
    return None if kinds == {"large"} else objects(value for array in arrays for value in array.tolist())


def _kind(chunk: list[str] | Array) -> str:
    if isinstance(chunk, list):
        return "text"
    if chunk.dtype == np.uint64 or (chunk.dtype == object and any(type(value) is int for value in chunk.tolist())):
        return "large"
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
