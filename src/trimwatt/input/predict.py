"""Rows for prediction: the same columns, shapes and derivations that the model was made with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input import arrays, csvtable, frames, images, npz
from trimwatt.input.checks import listed, near
from trimwatt.input.loading import existing
from trimwatt.input.raw import Raw, refuse_unreadable
from trimwatt.rows import columns, described
from trimwatt.rows.view import Seen, View
from trimwatt.workload import Array, Data, Rows, Stored

_TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


def describe(data: Data, read: Collection[str] | None = None) -> dict[str, Any]:
    """What rows of `data` look like, JSON-able, for an artifact's manifest. read: the columns it takes, None for all.

    kind, named; columns: [{"name", "dtype": float32 | string}] of named rows; shape and dtype of one row of an array;
    derive: how columns came from those of the source. Stored columns (`stored`) have the types the user gave them, with
    their categories, and labels where the user's are not text.
    """
    x = data.train.x
    if isinstance(x, Stored):
        return _describe_stored(x if read is None else x.only([name for name in x if name in read]), data)
    if isinstance(x, dict):
        taken = {name: column for name, column in x.items() if read is None or name in read}
        columns = [{"name": name, "dtype": "string" if c.dtype == object else "float32"} for name, c in taken.items()]
        return {"kind": data.kind, "named": True, "columns": columns, "shape": [], "dtype": "", "derive": data.derive}
    shape = [int(side) for side in x.shape[1:]]
    about = {"kind": data.kind, "named": False, "columns": [], "shape": shape}
    return {**about, "dtype": str(x.dtype), "derive": data.derive}


def _describe_stored(rows: Stored, data: Data) -> dict[str, Any]:
    others = [part.x for part in (data.val, data.test) if isinstance(part.x, Stored)]
    taken = [
        {"name": name, **described.describe(column, *(other[name] for other in others))}
        for name, column in rows.items()
    ]
    labels: dict[str, Any] = {} if rows.library is None else {"library": rows.library}
    if rows.labels is not None:
        labels["labels"] = {name: label for name, label in rows.labels.items() if name in rows}
    about = {"kind": data.kind, "named": True, "stored": True, "columns": taken}
    return {**about, "shape": [], "dtype": "", "derive": {}, **labels}


def rows_for_prediction(source: Any, manifest_input: Mapping[str, Any]) -> Rows:
    """Rows as `manifest_input` (see `describe`) says: named columns, or one array.

    source: .csv, .tsv, .parquet, .npz with key `x`, a folder or zip of images (taken by sorted path), one image, a
    DataFrame, a dict of columns or an array. Columns that the model does not take are left out. Raises InputError where
    one is missing or holds what it should not, or a shape differs.
    """
    source = existing(Path(source)) if isinstance(source, str | Path) else source
    if manifest_input.get("stored"):
        return _as_stored(source, manifest_input)
    if manifest_input["named"]:
        return _columns(_raw(source, manifest_input), manifest_input)
    return _array(source, manifest_input)


def _as_stored(source: Any, manifest_input: Mapping[str, Any]) -> Stored:
    """Columns in the types of training: those of a file become them, those of a frame are what they are."""
    if frames.is_pandas(source) or frames.is_frame(source) or isinstance(source, Mapping):
        return described.table(source, manifest_input, "data")
    raw = _raw(source, manifest_input)
    found = {label: raw.exact(label) for label in raw.columns}
    columns_of = {c["name"]: c for c in manifest_input["columns"]}
    if not raw.typed:
        # a file says less than the frame of training did: its integers may be categories there, its text dates
        found = {label: _typed(found[label], of) for label, of in columns_of.items() if label in found}
    return described.table(Stored(found, raw.labels), manifest_input, raw.name)


def _typed(column: Any, of: Mapping[str, Any]) -> Any:
    return described.from_cells(column.tolist(), of) if "text" in of else described.restore(column, of)


def _sources(manifest_input: Mapping[str, Any]) -> dict[str, str]:
    """For each column of the model the column it is read from."""
    derived = {
        part: label for label, spec in manifest_input.get("derive", {}).items() for part in spec.get("parts", {})
    }
    return {column["name"]: derived.get(column["name"], column["name"]) for column in manifest_input["columns"]}


def _raw(source: Any, manifest_input: Mapping[str, Any]) -> Raw:
    if frames.is_pandas(source) or frames.is_frame(source) or isinstance(source, Mapping):
        return arrays.from_columns(source, "data")
    if not isinstance(source, Path):
        return _from_matrix(arrays.as_array(source, "data"), manifest_input, "data")
    if source.name.lower().endswith(".parquet"):
        taken = [column["name"] for column in manifest_input["columns"]]
        return frames.read_parquet(source, taken, as_stored=bool(manifest_input.get("stored")))
    if source.name.lower().endswith(".npz"):
        return _from_npz(source, manifest_input)
    if source.name.lower().endswith(_TABLES):
        return csvtable.read(source, _text_columns(manifest_input), bool(manifest_input.get("stored")))
    raise InputError(f"{source.name}: the model takes named columns; .csv, .tsv, .parquet or .npz are allowed")


def _text_columns(manifest_input: Mapping[str, Any]) -> frozenset[str]:
    """Columns to leave as written: text, and numbers in a style that the training file settled."""
    if manifest_input.get("stored"):
        return frozenset(column["name"] for column in manifest_input["columns"] if "text" in column)
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
    kinds = {str(c["dtype"]).rstrip("0123456789").lower() for c in manifest_input["columns"]}
    plain = not manifest_input.get("derive") and kinds <= {"float", "int", "uint", "bool"}
    if not plain or x.ndim != 2 or x.shape[1] != len(labels):
        raise InputError(
            f"{name} is an array {x.shape}; the model takes the columns {listed(labels)}; give a table with these names"
        )
    stored = {label: x[:, place] for place, label in enumerate(labels)}
    read = {label: columns.plain(column, label) for label, column in stored.items()}
    return Raw(read, name, typed=True, stored=stored)


def _columns(raw: Raw, manifest_input: Mapping[str, Any]) -> dict[str, Array]:
    sources = _sources(manifest_input)
    missing = [label for label in dict.fromkeys(sources.values()) if label not in raw.columns]
    if missing:
        hint = near(missing[0], raw.columns)
        raise InputError(
            f"{raw.name} lacks {listed(missing)}; the model takes {listed(dict.fromkeys(sources.values()))}; "
            f"it holds {listed(raw.columns) or 'nothing'}{hint}"
        )
    refuse_unreadable(raw, sources.values())
    try:
        return _view(manifest_input, sources).apply(raw.columns)
    except InputError as error:
        raise InputError(f"{raw.name}: {error}") from error


def _view(manifest_input: Mapping[str, Any], sources: Mapping[str, str]) -> View:
    """How the manifest's columns are made of those of a source."""
    seen, derive = [], manifest_input.get("derive", {})
    for column in manifest_input["columns"]:
        name, label = column["name"], sources[column["name"]]
        spec = derive.get(label, {})
        if "parts" in spec:
            seen.append(Seen(name, label, "date", {**spec, "part": spec["parts"][name]}))
        else:
            seen.append(Seen(name, label, "text" if column["dtype"] == "string" else "number", spec))
    return View(tuple(seen))


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
