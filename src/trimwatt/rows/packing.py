"""How named columns become the tensors that a model takes: one for each type, its columns side by side.

A model with one input per column spends more time on taking them in than on its answer. So a model made here takes
numbers as one tensor, and a word as the number of its category: a look in a dict costs a tenth of a string tensor and
an encoder inside the graph, and no runtime needs to know text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from trimwatt._shape import every, list_of, object_of, text, whole
from trimwatt.errors import InputError
from trimwatt.rows import fields, requests
from trimwatt.rows import view as views
from trimwatt.workload import Array, View

# the entry of an ONNX model's metadata that says how its tensors are packed
KEY = "trimwatt.inputs"
_NUMBERS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "bool")
_TYPES = (*_NUMBERS, "string")
_COLUMN = object_of({"name": text}, codes=every(whole()))
_CHECK = list_of(object_of({"name": text, "dtype": text, "columns": list_of(_COLUMN)}))


@dataclass(frozen=True)
class Column:
    """One column of a tensor. codes: the number for each word; None where numbers go in as they are, or text does."""

    name: str
    codes: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Tensor:
    """One input of a model, `(n, columns)`. dtype: numpy's name of its type, or string."""

    name: str
    dtype: str
    columns: tuple[Column, ...]

    def to_json(self) -> dict[str, Any]:
        columns = [{"name": c.name} | ({} if c.codes is None else {"codes": dict(c.codes)}) for c in self.columns]
        return {"name": self.name, "dtype": self.dtype, "columns": columns}

    def described(self) -> dict[str, Any]:
        """The same without codes, for a manifest."""
        return {"name": self.name, "dtype": self.dtype, "columns": [column.name for column in self.columns]}


def described(prepare: Any) -> list[dict[str, Any]] | None:
    """Which columns stand in each tensor that preprocessing packs, in order, as JSON; None where it packs none."""
    packer = getattr(prepare, "packer", None)
    return None if packer is None else [tensor.described() for tensor in packer.tensors]


def to_text(tensors: Sequence[Tensor]) -> str:
    """For a model's metadata, under `KEY`."""
    return json.dumps([tensor.to_json() for tensor in tensors], ensure_ascii=False)


def from_text(written: str) -> tuple[Tensor, ...]:
    """What `to_text` gave; raises InputError for anything else."""
    try:
        content = json.loads(written)
        _CHECK(content, "")
        found = tuple(
            Tensor(t["name"], t["dtype"], tuple(Column(c["name"], c.get("codes")) for c in t["columns"]))
            for t in content
        )
        if not found or any(t.dtype not in _TYPES or not t.columns for t in found):
            raise ValueError(f"a tensor has columns, of {', '.join(_TYPES)}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"the model's entry {KEY} is not readable ({str(error)[:200]}); export it again") from error
    return found


class Packer:
    """Makes the tensors of requests of any form; the way is laid out once. view: how stored columns are seen."""

    def __init__(self, tensors: Sequence[Tensor], view: View | None = None) -> None:
        self.tensors = tuple(tensors)
        seen = cast("views.View | None", view)
        self._fields = [fields.of(c.name, t.dtype, c.codes, seen) for t in tensors for c in t.columns]
        self._of_cell = [field.cell for field in self._fields]
        self._reader = requests.Reader([field.column for field in self._fields])
        ends = np.cumsum([len(tensor.columns) for tensor in tensors]).tolist()
        # of each tensor its name, numpy type, and where its columns stand among all
        self._layout: list[tuple[str, Any, slice]] = [
            (t.name, object if t.dtype == "string" else np.dtype(t.dtype), slice(end - len(t.columns), end))
            for end, t in zip(ends, tensors, strict=True)
        ]

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns of a request that it reads, each once."""
        return tuple(dict.fromkeys(self._reader.names))

    def __call__(self, request: Any) -> dict[str, Array]:
        """The tensors of a request: a dict of columns, a DataFrame, a row of one, or a list of dicts.

        Raises InputError where a column is missing or holds what it cannot.
        """
        found = self._reader.cells(request)
        if found is None:
            return self._of_columns(self._reader.columns(request))
        row = [of_cell(cell) for of_cell, cell in zip(self._of_cell, found, strict=True)]
        if None in row:
            row = self._completed(row, request)
        return {name: np.array([row[part]], dtype=kind) for name, kind, part in self._layout}

    def _completed(self, row: list[Any], request: Any) -> list[Any]:
        """What a look at the cell alone did not tell is read as a column of one."""
        return [
            field.read(self._reader.column(request, place))[0] if value is None else value
            for place, (field, value) in enumerate(zip(self._fields, row, strict=True))
        ]

    def _of_columns(self, found: list[Any]) -> dict[str, Array]:
        n, made = len(found[0]), {}
        for name, kind, part in self._layout:
            made[name] = out = np.empty((n, part.stop - part.start), dtype=kind)
            with np.errstate(over="ignore"):
                for i, (field, column) in enumerate(zip(self._fields[part], found[part], strict=True)):
                    out[:, i] = column if field.takes_numbers and _is_numbers(column) else field.read(column)
            if kind == np.float32 and (lost := np.isinf(out)).any():
                out[lost] = np.nan
        return made


def _is_numbers(column: Any) -> bool:
    return column.__class__ is np.ndarray and column.dtype.kind in "fiub"
