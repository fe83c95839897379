"""Rows for prediction: the same columns, shapes and derivations that the model was made with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input import arrays, cells, csvtable, dates, frames, images, npz
from trimwatt.input.checks import listed, near, shown
from trimwatt.input.loading import existing
from trimwatt.input.raw import Raw, understand
from trimwatt.input.table import iso_text, single
from trimwatt.workload import Array, Data, Rows

_TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


def describe(data: Data, read: Collection[str] | None = None) -> dict[str, Any]:
    """What rows of `data` look like, JSON-able, for an artifact's manifest. read: the columns it takes, None for all.

    kind, named; columns: [{"name", "dtype": float32 | string}] of named rows; shape and dtype of one row of an array;
    derive: how columns came from those of the source.
    """
    x = data.train.x
    if isinstance(x, dict):
        taken = {name: column for name, column in x.items() if read is None or name in read}
        columns = [{"name": name, "dtype": "string" if c.dtype == object else "float32"} for name, c in taken.items()]
        return {"kind": data.kind, "named": True, "columns": columns, "shape": [], "dtype": "", "derive": data.derive}
    shape = [int(side) for side in x.shape[1:]]
    about = {"kind": data.kind, "named": False, "columns": [], "shape": shape}
    return {**about, "dtype": str(x.dtype), "derive": data.derive}


def rows_for_prediction(source: Any, manifest_input: Mapping[str, Any]) -> Rows:
    """Rows as `manifest_input` (see `describe`) says: named columns, or one array.

    source: .csv, .tsv, .parquet, .npz with key `x`, a folder or zip of images (taken by sorted path), one image, a
    DataFrame, a dict of columns or an array. Columns that the model does not take are left out. Raises InputError where
    one is missing or holds what it should not, or a shape differs.
    """
    source = existing(Path(source)) if isinstance(source, str | Path) else source
    if manifest_input["named"]:
        return _columns(_raw(source, manifest_input), manifest_input)
    return _array(source, manifest_input)


def _sources(manifest_input: Mapping[str, Any]) -> dict[str, str]:
    """For each column of the model the column it is read from."""
    derived = {
        part: label for label, spec in manifest_input.get("derive", {}).items() for part in spec.get("parts", {})
    }
    return {column["name"]: derived.get(column["name"], column["name"]) for column in manifest_input["columns"]}


def _raw(source: Any, manifest_input: Mapping[str, Any]) -> Raw:
    if frames.is_pandas(source) or isinstance(source, Mapping):
        return arrays.from_columns(source, "data")
    if not isinstance(source, Path):
        return _from_matrix(arrays.as_array(source, "data"), manifest_input, "data")
    if source.name.lower().endswith(".parquet"):
        return frames.read_parquet(source)
    if source.name.lower().endswith(".npz"):
        return _from_npz(source, manifest_input)
    if source.name.lower().endswith(_TABLES):
        return csvtable.read(source, _text_columns(manifest_input))
    raise InputError(f"{source.name}: the model takes named columns; .csv, .tsv, .parquet or .npz are allowed")


def _text_columns(manifest_input: Mapping[str, Any]) -> frozenset[str]:
    """Columns to leave as written: text, and numbers in a style that the training file settled."""
    text = {column["name"] for column in manifest_input["columns"] if column["dtype"] == "string"}
    return frozenset(text | set(manifest_input.get("derive", {})))


def _from_npz(path: Path, manifest_input: Mapping[str, Any]) -> Raw:
    keys = npz.names(path)
    wanted = [label for label in dict.fromkeys(_sources(manifest_input).values()) if label in keys]
    if wanted or "x" not in keys:
        return arrays.from_columns(npz.read(path, wanted), path.name) if wanted else Raw({}, path.name)
    return _from_matrix(npz.read(path, ["x"])["x"], manifest_input, path.name)


def _from_matrix(x: Array, manifest_input: Mapping[str, Any], name: str) -> Raw:
    labels = [column["name"] for column in manifest_input["columns"]]
    plain = not manifest_input.get("derive") and all(c["dtype"] == "float32" for c in manifest_input["columns"])
    if not plain or x.ndim != 2 or x.shape[1] != len(labels):
        raise InputError(
            f"{name} is an array {x.shape}; the model takes the columns {listed(labels)}; give a table with these names"
        )
    return Raw({label: arrays.plain_column(x[:, place], label) for place, label in enumerate(labels)}, name)


def _columns(raw: Raw, manifest_input: Mapping[str, Any]) -> dict[str, Array]:
    sources = _sources(manifest_input)
    missing = [label for label in dict.fromkeys(sources.values()) if label not in raw.columns]
    if missing:
        hint = near(missing[0], raw.columns)
        raise InputError(
            f"{raw.name} lacks {listed(missing)}; the model takes {listed(dict.fromkeys(sources.values()))}; "
            f"it holds {listed(raw.columns) or 'nothing'}{hint}"
        )
    specs = manifest_input.get("derive", {})
    return {
        column["name"]: _column(raw, sources[column["name"]], column, specs.get(sources[column["name"]], {}))
        for column in manifest_input["columns"]
    }


def _column(raw: Raw, label: str, column: Mapping[str, str], spec: Mapping[str, Any]) -> Array:
    values = raw.columns[label]
    if "parts" in spec:
        part: str = spec["parts"][column["name"]]
        return dates.part(_times(values, spec, label, raw), part).astype(np.float32)
    if column["dtype"] == "string":
        return as_words(values)
    return single(_numbers(values, spec, label, raw))[0]


def as_words(values: Array) -> Array:
    """A column as text, "" where missing, whole numbers without a point."""
    if values.dtype == object:
        return cells.words(values.tolist())
    if values.dtype.kind == "M":
        return iso_text(values)
    return cells.text("" if np.isnan(value) else f"{value:.15g}" for value in values)


def _times(values: Array, spec: Mapping[str, Any], label: str, raw: Raw) -> Array:
    if values.dtype.kind == "M":
        return values
    if values.dtype != object and np.isnan(values).all():
        return np.full(len(values), "NaT", dtype="datetime64[s]")
    text = as_words(values).tolist()
    for order in dict.fromkeys((str(spec["order"]), "ymd")):
        try:
            return dates.parse(text, order)
        except ValueError as error:
            cell = str(error)
    raise InputError(
        f"{raw.name}: column {label!r} holds {shown(cell)}; dates as in training are allowed ({spec['order']})"
    )


def _numbers(values: Array, spec: Mapping[str, Any], label: str, raw: Raw) -> Array:
    if values.dtype == object:
        return _from_cells(values.tolist(), spec, label, raw)
    if values.dtype.kind == "M":
        raise InputError(f"{raw.name}: column {label!r} holds dates; the model takes numbers there")
    return values


def _from_cells(values: list[str], spec: Mapping[str, Any], label: str, raw: Raw) -> Array:
    if spec.get("kind") == "number":
        try:
            return cells.styled_numbers(values, cells.Style(spec["decimal"], spec["thousands"], spec["affix"]))
        except ValueError:
            pass  # this file may be written in another style, which is inferred below
    meaning = understand(raw, label).values
    if meaning.dtype.kind == "f":
        return meaning
    row, cell = next((n, c) for n, c in enumerate(values, 1) if c not in cells.MISSING and not _is_float(c))
    raise InputError(f"{raw.name}: column {label!r} holds {shown(cell)!r} in row {row}; the model takes numbers there")


def _is_float(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _array(source: Any, manifest_input: Mapping[str, Any]) -> Array:
    shape, dtype = tuple(manifest_input["shape"]), np.dtype(manifest_input["dtype"])
    name = source.name if isinstance(source, Path) else "data"
    x = _stored(source, manifest_input, shape, dtype)
    if x.ndim == len(shape) + 1 and x.shape[1:] != shape and "layout" in manifest_input.get("derive", {}):
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    if x.shape[1:] != shape or len(x) == 0:
        wanted = ", ".join(["n", *map(str, shape)])
        raise InputError(f"{name} has shape {x.shape}; the model takes ({wanted}) with at least one row; reshape it")
    return _cast(x, dtype, name)


def _stored(source: Any, manifest_input: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    if isinstance(source, Mapping):
        return arrays.as_array(source.get("x"), "the dict's x")
    if not isinstance(source, Path):
        return arrays.as_array(source, "data")
    low = source.name.lower()
    if low.endswith(".npz"):
        return _x_of(source)
    if low.endswith((*_TABLES, ".parquet")) and len(shape) == 1:
        return _matrix(source, shape[0])
    if source.is_dir() or low.endswith(".zip") or Path(low).suffix in images.SUFFIXES:
        return _images(source, shape, dtype, manifest_input.get("derive", {}).get("levels", {}).get("divide"))
    raise InputError(
        f"{source.name} is of no kind the model takes; an .npz with key x, or images for images, is allowed"
    )


def _x_of(path: Path) -> Array:
    keys = npz.names(path)
    if "x" not in keys:
        raise InputError(
            f"{path.name} holds {listed(keys) or 'nothing'}; the key x is expected; np.savez(path, x=rows)"
        )
    return arrays.as_array(npz.read(path, ["x"])["x"], path.name)


def _matrix(path: Path, width: int) -> Array:
    raw = frames.read_parquet(path) if path.name.lower().endswith(".parquet") else csvtable.read(path)
    text = [label for label, column in raw.columns.items() if column.dtype.kind != "f"]
    if text or len(raw.columns) != width:
        what = f"text in {listed(text, 3)}" if text else f"{len(raw.columns)} columns"
        raise InputError(f"{path.name} holds {what}; the model takes {width} columns of numbers, in its order")
    return np.column_stack(list(raw.columns.values()))


def _images(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], divide: int | None) -> Array:
    if dtype not in (np.uint8, np.uint16) or len(shape) not in (2, 3) or shape[2:] not in ((), (3,), (1,)):
        raise InputError(
            f"{path.name} holds image files; the model takes {dtype} arrays {shape}; give an .npz with key x"
        )
    grey = len(shape) == 2 or shape[2] == 1
    x = images.flat(path, (shape[1], shape[0]), grey, dtype, divide)
    return x[..., None] if len(shape) == 3 and grey else x


def _cast(x: Array, dtype: np.dtype[Any], name: str) -> Array:
    """`x` as `dtype`; floats may be rounded to floats, all else must keep its value."""
    if x.dtype == dtype:
        return x
    if x.dtype.kind in "biuf" and (x.dtype.kind != "f" or dtype.kind == "f"):
        with np.errstate(over="ignore", invalid="ignore"):
            cast = x.astype(dtype)
        if dtype.kind == "f" or np.array_equal(cast.astype(np.float64), x.astype(np.float64)):
            return cast
    raise InputError(f"{name} holds {x.dtype}; the model takes {dtype}, and these values would change; convert them")
