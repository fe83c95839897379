"""Parquet files and frames of pandas and other libraries as raw columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.input.checks import check_fits, shown
from trimwatt.input.raw import Raw, objects, of_stored
from trimwatt.rows import cells, columns
from trimwatt.workload import Array


def read_parquet(path: Path, exact: Collection[str] = (), as_stored: bool = False) -> Raw:
    """The columns of a Parquet file. exact: those to keep as stored too; as_stored: all, as pandas reads them,
    and of its index those in `exact`.

    Raises InputError where it cannot be read or holds nested columns.
    """
    require("pyarrow", "parquet", "Reading Parquet")
    import pyarrow.parquet as pq

    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty; give a Parquet file with rows")
    try:
        return _parquet_columns(path, pq.ParquetFile(path), exact, as_stored)
    except InputError:
        raise
    except Exception as error:  # pyarrow raises many kinds on damaged bytes
        reason = shown(str(error), 100)
        raise InputError(f"{path.name} is not a readable Parquet file ({reason}); write it again") from error


def _parquet_columns(path: Path, file: Any, exact: Collection[str], as_stored: bool) -> Raw:
    groups = [file.metadata.row_group(number).total_byte_size for number in range(file.metadata.num_row_groups)]
    check_fits(sum(groups), path.name)
    table = file.read()
    if table.num_rows == 0:
        raise InputError(f"{path.name} has columns but no rows; give rows")
    labels = [name for name in table.column_names if not _is_pandas_index(name)]
    if len(set(labels)) < len(labels):
        raise InputError(f"{path.name} names a column twice; give each column its own name")
    if as_stored:
        require("pandas", "sklearn", "A Parquet file for a given model")
        return from_pandas(_with_levels(table.to_pandas(), exact), path.name)
    read = {name: _from_arrow(table.column(name), name, path.name) for name in labels}
    stored = {name: _exactly(table.column(name)) for name in labels if name in exact}
    return Raw(read, path.name, typed=True, stored=stored)


def _with_levels(frame: Any, names: Collection[str]) -> Any:
    """The frame without its index, whose levels called as in `names` are columns."""
    levels = {name: frame.index.get_level_values(name) for name in frame.index.names if name in names}
    return frame.assign(**{name: level for name, level in levels.items() if name not in frame}).reset_index(drop=True)


def _is_pandas_index(name: str) -> bool:
    return name.startswith("__index_level_")


def _exactly(column: Any) -> Array:
    """A column of Arrow's with each value as it is: identities of targets and groups must not be rounded."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return np.asarray(column.cast(pa.timestamp("us"), safe=False).to_numpy())
    if column.null_count == 0 and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return np.asarray(column.to_numpy())
    return objects(column.to_pylist())


def _from_arrow(column: Any, label: str, name: str) -> Array:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    ):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        wall_clock = column.cast(pa.timestamp("us"), safe=False) if not getattr(kind, "tz", None) else _local(column)
        return np.asarray(wall_clock.to_numpy(), dtype="datetime64[s]")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return cells.text("" if value is None else value.strip() for value in column.to_pylist())
    raise InputError(
        f"{name}: column {label!r} is {kind}; numbers, text, booleans and dates are allowed; leave it out or convert it"
    )


def _local(column: Any) -> Any:
    import pyarrow.compute as pc

    return pc.local_timestamp(column)


def is_pandas(value: object) -> bool:
    """Whether `value` is a pandas frame or series, without importing pandas."""
    return any(kind.__module__.startswith("pandas.") for kind in type(value).__mro__)


def is_frame(value: object) -> bool:
    """Whether `value` is a frame of pandas or of a library that hands its columns over, such as polars."""
    if is_pandas(value):
        return getattr(value, "ndim", 0) == 2
    return columns.library_of(value) is not None and (hasattr(value, "columns") or hasattr(value, "column_names"))


def from_frame(frame: Any, name: str) -> Raw:
    """The columns of a frame of any library."""
    if is_pandas(frame):
        return from_pandas(frame, name)
    return replace(from_pandas(columns.as_pandas(frame), name), library=columns.library_of(frame))


def from_pandas(frame: Any, name: str) -> Raw:
    """The columns of a frame, or of a series as the one column called as it or "target"."""
    if frame.ndim == 1:
        frame = frame.to_frame(name=frame.name if frame.name is not None else "target")
    labels = [str(label) for label in frame.columns]
    if len(set(labels)) < len(labels):
        raise InputError(f"{name} names a column twice; give each column its own name")
    if len(frame) == 0 or not labels:
        raise InputError(f"{name} has {len(frame)} rows and {len(labels)} columns; give at least one of each")
    stored = {label: columns.stored(frame.iloc[:, place]) for place, label in enumerate(labels)}
    given = list(frame.columns)
    named = None if labels == given else dict(zip(labels, given, strict=True))
    return of_stored(stored, name, labels=named)
