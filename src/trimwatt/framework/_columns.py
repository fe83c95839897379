"""Preprocessing of a table of named columns: float32 with NaN for missing, text with "" for missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework import _array, _graph
from trimwatt.rows import view as views
from trimwatt.rows.columns import plain
from trimwatt.workload import Array, Rows, Stored, View

# one-hot columns beyond this many say little and cost each model its share
_MOST_HOT = 64
_MOST_CODES = 1000


def _categories(column: Array, most: int) -> tuple[str, ...]:
    """The categories to know, sorted: at most `most`, the frequent first; a rarer one is taken as unseen."""
    ranked = Counter(column.tolist()).most_common(most)
    least = min(max(1, round(len(column) / 2000)), ranked[0][1])
    return tuple(sorted(word for word, count in ranked if count >= least)[:most])


@dataclass(frozen=True, eq=False)
class ColumnPrepare:
    """Numbers imputed (and standardised), then categories one-hot, or as codes with -1 for one never seen.

    numbers, texts: names of columns. fill, mean, inverse: (len(numbers),); the last two None where numbers keep
    their scale. categories: those known, for each text column. Output: (n, numbers + one-hot or code columns).
    view: how stored columns are seen here.
    """

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    fill: Array
    mean: Array | None
    inverse: Array | None
    categories: tuple[tuple[str, ...], ...]
    one_hot: bool
    view: View | None = None

    @classmethod
    def fit(cls, rows: dict[str, Array], one_hot: bool, view: View | None = None) -> ColumnPrepare:
        rows = view.apply(rows) if view is not None and isinstance(rows, Stored) else rows
        texts = tuple(name for name, column in rows.items() if column.dtype.kind in "OUST")
        numbers = tuple(name for name in rows if name not in texts)
        values = _matrix(rows, numbers)
        fill = _array.medians(values)
        full = np.where(np.isnan(values), fill, values)
        mean, inverse = _array.scale_of(full) if one_hot else (None, None)
        most = _MOST_HOT if one_hot else _MOST_CODES
        known = tuple(_categories(rows[t], most) for t in texts)
        return cls(numbers, texts, fill, mean, inverse, known, one_hot, view)

    def __getstate__(self) -> dict[str, Any]:
        state = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {**state, "view": self.view and self.view.to_json()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        view = state.get("view")
        vars(self).update({**state, "view": None if view is None else views.View.from_json(view)})

    @cached_property
    def _codes(self) -> list[dict[str, int]]:
        """Of each text column: all columns share one row of one-hot places, codes start at 0 for each."""
        sizes = [len(known) if self.one_hot else 0 for known in self.categories]
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        return [
            {word: start + i for i, word in enumerate(known)}
            for start, known in zip(starts, self.categories, strict=True)
        ]

    @cached_property
    def _reads(self) -> frozenset[str]:
        return frozenset((*self.numbers, *self.texts))

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns, as stored, that it reads."""
        return tuple(self.places) if self.view is None else self.view.stored(self._reads)

    @property
    def _hot(self) -> int:
        return sum(len(known) for known in self.categories)

    @property
    def width(self) -> int:
        """How many columns come out."""
        return len(self.numbers) + (self._hot if self.one_hot else len(self.texts))

    @property
    def places(self) -> dict[str, Array]:
        """Of each column that is read, which columns (indices) come out of it."""
        hot = [len(known) if self.one_hot else 1 for known in self.categories]
        sizes = [1] * len(self.numbers) + hot
        ends = np.cumsum(sizes)
        names = (*self.numbers, *self.texts)
        return {name: np.arange(end - size, end) for name, size, end in zip(names, sizes, ends, strict=True)}

    def only(self, names: Collection[str]) -> ColumnPrepare:
        """The same for fewer columns: what comes out of `names` is what came out of them before."""
        numbers = [i for i, name in enumerate(self.numbers) if name in names]
        texts = [i for i, name in enumerate(self.texts) if name in names]
        mean, inverse = (None if values is None else values[numbers] for values in (self.mean, self.inverse))
        return replace(
            self, numbers=tuple(self.numbers[i] for i in numbers), texts=tuple(self.texts[i] for i in texts),
            fill=self.fill[numbers], mean=mean, inverse=inverse,
            categories=tuple(self.categories[i] for i in texts),
        )  # fmt: skip

    def transform(self, rows: Rows) -> Array:
        if not isinstance(rows, dict):
            raise InputError(
                f"rows are named columns ({', '.join((*self.numbers, *self.texts)[:4])} ...), got an array"
            )
        if self.view is not None and isinstance(rows, Stored):
            rows = self.view.apply(rows, self._reads)
        n, d = len(next(iter(rows.values()))), len(self.numbers)
        out = np.zeros((n, self.width), dtype=np.float32)
        if d:
            values = _matrix(rows, self.numbers)
            values = np.where(np.isnan(values), self.fill, values)
            out[:, :d] = values if self.mean is None else (values - self.mean) * self.inverse
        for i, (name, known) in enumerate(zip(self.texts, self._codes, strict=True)):
            codes = np.fromiter((known.get(word, -1) for word in rows[name].tolist()), np.int64, n)
            if self.one_hot:
                seen = np.flatnonzero(codes >= 0)
                out[seen, d + codes[seen]] = 1.0
            else:
                out[:, d + i] = codes
        return out

    def to_onnx(self) -> bytes:
        prefix = _graph.unused_prefix("prepare", (*self.numbers, *self.texts))
        graph = _graph.Graph(prefix)
        parts = [self._number_nodes(graph)] if self.numbers else []
        if self.texts:
            parts.append(self._text_nodes(graph))
        if len(parts) > 1:
            graph.add("Concat", *parts, axis=1)
        graph.rename_last(f"{prefix}d")
        inputs = [_graph.value(name, np.float32, ("n", 1)) for name in self.numbers]
        inputs += [_graph.value(name, object, ("n", 1)) for name in self.texts]
        outputs = [_graph.value(f"{prefix}d", np.float32, ("n", self.width))]
        return bytes(graph.model(inputs, outputs).SerializeToString())

    def _number_nodes(self, graph: _graph.Graph) -> str:
        name = _joined(graph, list(self.numbers))
        return _graph.standardized(graph, _graph.imputed(graph, name, self.fill), self.mean, self.inverse)

    def _text_nodes(self, graph: _graph.Graph) -> str:
        codes = _joined(graph, [_encoded(graph, t, k) for t, k in zip(self.texts, self._codes, strict=True)])
        if not self.one_hot:
            return codes
        # one comparison of a gathered row for all columns together is fewer nodes than one encoder a column
        owner = np.repeat(np.arange(len(self.texts)), [len(known) for known in self.categories])
        spread = graph.add("Gather", codes, graph.constant(owner, np.int64), axis=1) if len(self.texts) > 1 else codes
        same = graph.add("Equal", spread, graph.constant(np.arange(self._hot)[None], np.float32))
        return graph.add("Cast", same, to=1)


@dataclass(frozen=True, eq=False)
class StackPrepare:
    """Named columns of numbers side by side: for a model that takes them as one array `(n, columns)`.

    dtype: of that array. entry: the type in which the columns come where this is exported.
    """

    numbers: tuple[str, ...]
    dtype: str = "float32"
    entry: str = "float32"

    @classmethod
    def of(cls, rows: dict[str, Array]) -> StackPrepare:
        """All columns of `rows`; stored ones in the type that holds each of their numbers."""
        if not isinstance(rows, Stored):
            return cls(tuple(rows))
        kinds = [column.dtype if _is_plain(column) else np.dtype(np.float64) for column in rows.values()]
        return cls(tuple(rows), np.result_type(*kinds).name)

    def transform(self, rows: Rows) -> Array:
        if not isinstance(rows, dict):
            raise InputError(f"rows are named columns ({', '.join(self.numbers[:4])} ...), got an array")
        return _matrix(rows, self.numbers, self.dtype)

    def to_onnx(self) -> bytes:
        prefix = _graph.unused_prefix("prepare", self.numbers)
        graph = _graph.Graph(prefix)
        graph.add("Concat", *self.numbers, axis=1, output=f"{prefix}d")
        inputs = [_graph.value(name, self.entry, ("n", 1)) for name in self.numbers]
        outputs = [_graph.value(f"{prefix}d", self.entry, ("n", len(self.numbers)))]
        return bytes(graph.model(inputs, outputs).SerializeToString())


def _matrix(rows: dict[str, Array], names: tuple[str, ...], dtype: str = "float32") -> Array:
    """Columns side by side, `(n, columns)`."""
    out = np.empty((len(next(iter(rows.values()))), len(names)), dtype=dtype)
    for i, name in enumerate(names):
        column = rows[name]
        out[:, i] = column if _is_plain(column) else plain(column, name)
    return out


def _is_plain(column: Any) -> bool:
    return isinstance(column, np.ndarray) and column.dtype.kind in "biuf" and not isinstance(column, np.ma.MaskedArray)


def _joined(graph: _graph.Graph, names: list[str]) -> str:
    return names[0] if len(names) == 1 else graph.add("Concat", *names, axis=1)


def _encoded(graph: _graph.Graph, name: str, known: dict[str, int]) -> str:
    codes: dict[str, Any] = {
        "keys_strings": list(known), "values_floats": [float(code) for code in known.values()], "default_float": -1.0,
    }  # fmt: skip
    return graph.add("LabelEncoder", name, domain="ai.onnx.ml", **codes)
