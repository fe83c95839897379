"""A column of a table as stored, a numpy array (perhaps masked) or one of pandas, and what it holds in plain form."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, first_line
from trimwatt.rows import cells
from trimwatt.workload import Array, unmasked

# pandas' names for the type of its wrapper around a numpy array
_NUMPY_INSIDE = ("NumpyEADtype", "PandasDtype")
_ALLOWED = "numbers, text, booleans and dates are allowed; convert it"


def is_missing(value: Any) -> bool:
    """Whether a cell stands for nothing: None, NaN, NaT or pandas' NA, found without pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return False  # what holds several values, as an array does, is there


def kind_of(column: Any) -> str:
    """What a stored column holds: "number" (booleans too), "date" or "text" (also what mixes them)."""
    dtype = column.dtype
    categories = getattr(dtype, "categories", None)
    if categories is not None and hasattr(column, "codes"):
        return kind_of(categories)
    if dtype.kind in "biuf" and not hasattr(dtype, "subtype"):
        return "number"
    if dtype.kind == "M":
        return "date"
    if isinstance(column, np.ndarray) and dtype.kind == "O":
        return "number" if _all_numbers([value for value in column.tolist() if not is_missing(value)]) else "text"
    return "text"


def plain(column: Any, label: str) -> Array:
    """A stored column `(n,)` as float64 with NaN, datetime64[s] with NaT, or text, stripped, with "" for missing.

    Raises InputError, naming `label`, for what is none of these.
    """
    if not isinstance(column, np.ndarray):
        return _from_pandas(column, label)
    if isinstance(column, np.ma.MaskedArray):
        column = unmasked(column)
    kind = column.dtype.kind
    if kind in "biuf":
        return np.asarray(column, dtype=np.float64)
    if kind == "M":
        return np.asarray(column, dtype="datetime64[s]")
    if kind not in "OUS":
        raise InputError(f"column {label!r} is {column.dtype}; {_ALLOWED}")
    return _from_objects(column.tolist())


def _from_objects(values: list[Any]) -> Array:
    missing = [is_missing(value) for value in values]
    if _all_numbers([value for value, absent in zip(values, missing, strict=True) if not absent]):
        return np.array([np.nan if a else float(v) for v, a in zip(values, missing, strict=True)])
    return cells.text("" if absent else str(value).strip() for value, absent in zip(values, missing, strict=True))


def _all_numbers(present: list[Any]) -> bool:
    return bool(present) and all(isinstance(value, int | float | np.number | np.bool_) for value in present)


def _from_pandas(column: Any, label: str) -> Array:
    import pandas as pd

    series, kind = pd.Series(column, copy=False), column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        values = series.astype(kind.categories.dtype if not series.isna().any() else object)
        return _from_objects(values.tolist()) if values.dtype == object else plain(stored(values), label)
    if pd.api.types.is_datetime64_any_dtype(kind):
        # the wall clock as written, without its zone
        naive = series.dt.tz_localize(None) if getattr(kind, "tz", None) else series
        return np.asarray(naive.to_numpy(dtype="datetime64[ns]"), dtype="datetime64[s]")
    if pd.api.types.is_complex_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
        raise InputError(f"column {label!r} is {kind}; {_ALLOWED}")
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return _from_objects(series.tolist())


def library_of(value: Any) -> str | None:
    """The name of the package whose frame or series `value` is, where it hands its columns over as Arrow does."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    known = ("pandas", "numpy", "torch", "trimwatt", "builtins")
    offers = hasattr(kind, "__arrow_c_stream__") or hasattr(kind, "__dataframe__")
    return package if offers and package not in known else None


def as_pandas(value: Any) -> Any:
    """A frame or series of another library as pandas', whole numbers and booleans with gaps as they are.

    Raises InputError, naming its type, where it cannot be handed over.
    """
    kind = type(value)
    name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    require("pandas", "sklearn", f"Reading a {name}")
    pa = require("pyarrow", "parquet", f"Reading a {name}")
    try:
        if hasattr(value, "columns") or hasattr(value, "column_names"):
            return pa.table(value).to_pandas(types_mapper=_nullable(pa.table(value)))
        return pa.table({"column": pa.chunked_array(value)}).to_pandas()["column"]
    except Exception as error:  # each library raises its own
        raise InputError(f"{name} cannot be read ({first_line(error, 120)}); give .to_pandas()") from error


def _nullable(table: Any) -> Any:
    """pandas' types with gaps for Arrow's types of whole numbers and booleans, where a column of that type has some."""
    import pandas as pd

    names = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
    own = {"bool": pd.BooleanDtype(), **{name.lower(): pd.api.types.pandas_dtype(name) for name in names}}
    gaps = {str(column.type) for column in table.columns if column.null_count}
    return lambda kind: own.get(str(kind)) if str(kind) in gaps else None


def stored(values: Any) -> Any:
    """The column in a series, index or array of pandas: a numpy array where it is one inside, else pandas' own.

    Nothing is copied.
    """
    if isinstance(values.dtype, np.dtype) or type(values.dtype).__name__ in _NUMPY_INSIDE:
        return values.to_numpy()
    return getattr(values, "array", values)  # what `series.values` gives is often the array itself


def single(values: Array) -> tuple[Array, int]:
    """Numbers as float32, and how many were infinite or too large and became NaN; text as it is."""
    if values.dtype == object:
        return values, 0
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32)
    if values.dtype.kind != "f":
        return numbers, 0
    lost = np.isinf(numbers)
    if not lost.any():
        return numbers, 0
    numbers[lost] = np.nan
    return numbers, int(lost.sum())


def words(values: Array) -> Array:
    """A plain column as text, "" where missing, whole numbers without a point, every digit kept."""
    if values.dtype == object:
        return cells.words(values.tolist())
    if values.dtype.kind == "M":
        return cells.text("" if np.isnat(time) else str(time) for time in values)
    return cells.text(digits(value) for value in values.tolist())


def digits(value: float) -> str:
    """A number as text: whole ones without a point, "" for NaN."""
    if value != value:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e16 else repr(float(value))


_MOST_DECIMALS = 6
_LARGEST = 2.0**62
_SAMPLE = 1000
# of the spread of a column without a fixed number of decimals
_NOTICEABLE = 1e-4


def moved(values: Array) -> int:
    """How many numbers (n,) are others in float32: by half of the step they are written in, or 1e-4 of the spread.

    The step is 1 for most whole numbers, 0.01 for amounts, 60 for minutes in seconds.
    """
    values = values.astype(np.float64)[np.isfinite(values)]
    with np.errstate(over="ignore"):
        error = np.abs(values.astype(np.float32).astype(np.float64) - values)
    if not error.any() or np.ptp(values) == 0:
        return 0
    step = _step(values)
    if step is not None:
        return int((error >= step / 2).sum())
    low, high = np.quantile(values, [0.05, 0.95])
    spread = float(high - low) or float(np.ptp(values))
    return int((error > _NOTICEABLE * spread).sum())


def _step(values: Array) -> float | None:
    """The largest step that leads from each value to each other, None where they have many decimals."""
    sample = values[:_SAMPLE]
    if len(values) > len(sample) and len(np.unique(sample)) > 1 and _step(sample) is None:
        return None  # a few rows tell it in most columns
    for decimals in range(_MOST_DECIMALS + 1):
        scaled = np.round(values * 10.0**decimals)
        if np.abs(scaled).max() >= _LARGEST:
            return None
        if (scaled / 10.0**decimals == values).all():
            whole = scaled.astype(np.int64)
            return float(np.gcd.reduce(whole - whole[0])) / 10.0**decimals or None
    return None
