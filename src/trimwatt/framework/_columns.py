"""Preprocessing of a table of named columns: float32 with NaN for missing, text with "" for missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from trimwatt.framework import _array, _graph
from trimwatt.rows import view as views
from trimwatt.rows.columns import plain
from trimwatt.rows.fields import UNKNOWN
from trimwatt.rows.packing import Column, Packer, Tensor
from trimwatt.workload import Array, Stored, View

# one-hot columns beyond this many say little and cost each model its share
_MOST_HOT = 64
_MOST_CODES = 1000
# the exported graph's one input
INPUT = "numbers"


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
    takes_requests: ClassVar[bool] = True

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
    def packer(self) -> Packer:
        """Makes the tensor of numbers that the exported graph takes: numbers, then the codes of words."""
        columns = [Column(name) for name in self.numbers]
        columns += [Column(name, codes) for name, codes in zip(self.texts, self._codes, strict=True)]
        return Packer((Tensor(INPUT, "float32", tuple(columns)),), self.view)

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns, as stored, that it reads."""
        return self.packer.reads

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

    def transform(self, rows: Any) -> Array:
        """Rows in any form that a request has, as `(n, width)` float32."""
        packed, d = self.packer(rows)[INPUT], len(self.numbers)
        values = np.where(np.isnan(packed[:, :d]), self.fill, packed[:, :d])
        values = values if self.mean is None else (values - self.mean) * self.inverse
        if not self.one_hot:
            packed[:, :d] = values
            return packed
        out = np.zeros((len(packed), self.width), dtype=np.float32)
        out[:, :d] = values
        row, text = np.nonzero(packed[:, d:] >= 0)
        out[row, d + packed[row, d + text].astype(np.int64)] = 1.0
        return out

    def to_onnx(self) -> bytes:
        graph = _graph.Graph("prepare")
        parts = [self._number_nodes(graph)] if self.numbers or not self.one_hot else []
        if self.texts and self.one_hot:
            parts.append(self._hot_nodes(graph))
        if len(parts) > 1:
            graph.add("Concat", *parts, axis=1)
        if not graph.nodes:
            graph.add("Identity", INPUT)
        graph.rename_last("prepared")
        (tensor,) = self.packer.tensors
        inputs = [_graph.value(INPUT, np.float32, ("n", len(tensor.columns)))]
        outputs = [_graph.value("prepared", np.float32, ("n", self.width))]
        return bytes(graph.model(inputs, outputs, self.packer.tensors).SerializeToString())

    def _number_nodes(self, graph: _graph.Graph) -> str:
        """The numbers, imputed and perhaps scaled; with the codes behind them, which are never missing, where these
        stay as they are."""
        name, fill = INPUT, self.fill
        if self.texts and self.one_hot:
            name = graph.add("Gather", name, graph.constant(range(len(self.numbers)), np.int64), axis=1)
        else:
            # a code is never missing: what would stand there only must not ask for a node of its own
            never = np.nan if np.isnan(fill).all() else UNKNOWN
            fill = np.append(fill, np.full(len(self.texts), never, np.float32))
        return _graph.standardized(graph, _graph.imputed(graph, name, fill), self.mean, self.inverse)

    def _hot_nodes(self, graph: _graph.Graph) -> str:
        # one comparison of a gathered row for all columns together is fewer nodes than one encoder a column
        owner = np.repeat(np.arange(len(self.texts)), [len(known) for known in self.categories]) + len(self.numbers)
        spread = graph.add("Gather", INPUT, graph.constant(owner, np.int64), axis=1)
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
    takes_requests: ClassVar[bool] = True

    @classmethod
    def of(cls, rows: dict[str, Array]) -> StackPrepare:
        """All columns of `rows`; stored ones in the type that holds each of their numbers."""
        if not isinstance(rows, Stored):
            return cls(tuple(rows))
        kinds = [column.dtype if _is_plain(column) else np.dtype(np.float64) for column in rows.values()]
        return cls(tuple(rows), np.result_type(*kinds).name)

    @cached_property
    def packer(self) -> Packer:
        """Makes the tensor that the exported graph takes."""
        return self._packer(self.entry)

    @cached_property
    def _own(self) -> Packer:
        # float32 here may hold an infinite number, which is the given model's to judge
        return self._packer("float64" if np.dtype(self.dtype).kind == "f" else self.dtype)

    def _packer(self, dtype: str) -> Packer:
        return Packer((Tensor(INPUT, dtype, tuple(map(Column, self.numbers))),))

    def transform(self, rows: Any) -> Array:
        """Rows in any form that a request has, as `(n, columns)`."""
        with np.errstate(over="ignore"):
            return self._own(rows)[INPUT].astype(self.dtype, copy=False)

    def to_onnx(self) -> bytes:
        return _alone(self.packer)


@dataclass(frozen=True, eq=False)
class PackPrepare:
    """Named columns as one tensor, for a model whose own file says which columns it takes and how words are coded."""

    tensor: Tensor
    takes_requests: ClassVar[bool] = True

    @cached_property
    def packer(self) -> Packer:
        """Makes the tensor."""
        return Packer((self.tensor,))

    def transform(self, rows: Any) -> Array:
        """Rows in any form that a request has, as `(n, columns)`."""
        return self.packer(rows)[self.tensor.name]

    def to_onnx(self) -> bytes:
        return _alone(self.packer)


def _alone(packer: Packer) -> bytes:
    """A graph that takes the one tensor of `packer` and gives it on, as `prepared`."""
    (tensor,) = packer.tensors
    graph, shape = _graph.Graph("prepare"), ("n", len(tensor.columns))
    graph.add("Identity", tensor.name, output="prepared")
    inputs, outputs = ([_graph.value(name, tensor.dtype, shape)] for name in (tensor.name, "prepared"))
    return bytes(graph.model(inputs, outputs, packer.tensors).SerializeToString())


def _matrix(rows: dict[str, Array], names: tuple[str, ...]) -> Array:
    """Columns of numbers side by side, `(n, columns)` float32."""
    out = np.empty((len(next(iter(rows.values()))), len(names)), dtype=np.float32)
    for i, name in enumerate(names):
        column = rows[name]
        out[:, i] = column if _is_plain(column) else plain(column, name)
    return out


def _is_plain(column: Any) -> bool:
    return isinstance(column, np.ndarray) and column.dtype.kind in "biuf" and not isinstance(column, np.ma.MaskedArray)
