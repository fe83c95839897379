"""The rows as the user gave them, kept by reference: what a given model's own answers are asked with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.workload import Array


@dataclass(frozen=True, eq=False)
class Given:
    """An object that holds rows of one part of the data.

    rows: the user's own frame, array, tensor or dict of columns. index: which of its rows are the part's, None for all
    in order. without: labels of its columns that are no features (target, split and group).
    """

    rows: Any
    index: Array | None = None
    without: tuple[Any, ...] = ()

    def at(self, index: Array) -> Any:
        """Rows of the part by number, in the type they came in."""
        found = _rows_at(self.rows, index if self.index is None else self.index[index])
        present = [label for label in self.without if label in found] if self.without else []
        return found.drop(columns=present) if hasattr(found, "iloc") and present else _left(found, present)


class Original:
    """The user's own rows of a split: `original("val", index)` gives those of `data.val.take(index)`.

    They come as the user's object has them (DataFrame with its dtypes and index, array, tensor, dict of columns),
    without target, split and group columns; a list comes as an array. Nothing is copied before it is asked for. It
    stays in the process that loaded the data: pickled, it becomes None.
    """

    def __init__(self, places: Mapping[str, tuple[Given, Array | None]]) -> None:
        """places: for each split what holds its rows, and which of them those are (None: all, in order)."""
        self._places = dict(places)

    def __call__(self, split: str, index: Array | slice) -> Any:
        """The rows of `split` ("train", "val" or "test") at `index`, counted as in the split of the same name."""
        given, places = self._places[split]
        if isinstance(index, slice):
            length = _length(given) if places is None else len(places)
            index = np.arange(length)[index]
        return given.at(np.asarray(index) if places is None else places[index])

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return type(None), ()


def _length(given: Given) -> int:
    if given.index is not None:
        return len(given.index)
    return len(next(iter(given.rows.values()))) if isinstance(given.rows, Mapping) else len(given.rows)


def _rows_at(rows: Any, index: Array) -> Any:
    if isinstance(rows, Mapping):
        return {name: _rows_at(column, index) for name, column in rows.items()}
    if hasattr(rows, "iloc"):
        return rows.iloc[index]
    return np.asarray(rows)[index] if isinstance(rows, list | tuple) else rows[index]


def _left(rows: Any, without: list[Any]) -> Any:
    if not without:
        return rows
    return {n: c for n, c in rows.items() if n not in without} if isinstance(rows, dict) else rows.drop(without)
