"""What stored columns are, as JSON for a manifest, and columns that come later brought to that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.rows import cells, columns
from trimwatt.workload import Stored

_JSON = (str, int, float, bool)
_MARKS = {"NoneType": "None", "NAType": "NA"}


def describe(column: Any, *others: Any) -> dict[str, Any]:
    """The type of a stored column: `dtype` as numpy or pandas writes it, with the categories where it has some.

    text, where all it holds is text: which cells of a file are missing there, those that pandas takes for missing
    ("words"), empty ones ("empty") or none ("none"). missing: how an object column writes what is missing. others: the
    same column of other splits.
    """
    found: dict[str, Any] = {"dtype": str(column.dtype)}
    values = _objects_of([column, *others])
    categories = getattr(column.dtype, "categories", None)
    if categories is not None and hasattr(column, "codes"):
        known = [value.item() if isinstance(value, np.generic) else value for value in categories.tolist()]
        if all(isinstance(value, _JSON) for value in known):
            found |= {"categories": known, "ordered": bool(column.dtype.ordered)}
        values |= dict.fromkeys(known)
    present = {value for value in values if not columns.is_missing(value)}
    if present and all(isinstance(value, str) for value in present):
        found["text"] = _missing_cells(present, any(columns.is_missing(value) for value in values))
    if found["dtype"] == "object":
        found["missing"] = next((_MARKS.get(type(v).__name__, "NaN") for v in values if columns.is_missing(v)), "NaN")
    return found


def _objects_of(parts: Iterable[Any]) -> dict[Any, None]:
    """The distinct values of columns that may hold text, in order."""
    try:
        return dict.fromkeys(v for part in parts if columns.kind_of(part) == "text" for v in part.tolist())
    except TypeError:  # lists and such, which are no text
        return {}


def _missing_cells(texts: set[str], gaps: bool) -> str:
    """Which cells of a file are missing, where a column holds these texts: the words for it are no text elsewhere."""
    if texts.isdisjoint(cells.PANDAS_MISSING):
        return "words"
    return "empty" if gaps or "" not in texts else "none"


def from_cells(written: list[str], described: Mapping[str, Any]) -> Any:
    """The cells of a file, as written, as a column of text in the type of `described`, which has `text`."""
    absent = {"words": cells.PANDAS_MISSING, "empty": frozenset([""]), "none": frozenset[str]()}[described["text"]]
    mark = None if described.get("missing") == "None" else np.nan
    column = np.empty(len(written), dtype=object)
    column[:] = [mark if cell in absent else cell for cell in written]
    if described["dtype"][:1] in "<>|":
        return np.asarray(written)
    return restore(column, described)


def restore(column: Any, described: Mapping[str, Any]) -> Any:
    """A column in the type of `described`, where its values have one in that; else as it is, for the model to judge.

    column: an array, a list or a pandas column.
    """
    column = column if hasattr(column, "dtype") else _array(column)
    kind = described["dtype"]
    if str(column.dtype) == kind and "categories" not in described:
        return column
    if kind in ("bool", "object") or kind[:1] in "<>|" or (kind.startswith(("int", "uint", "float"))):
        return _plainly(column, kind)
    import pandas as pd

    try:
        if "categories" in described:
            return pd.Categorical(_texts(column, described), described["categories"], described.get("ordered", False))
        return columns.stored(pd.Series(column).astype(kind))
    except (ValueError, TypeError):
        return column


def _array(values: Any) -> Any:
    """A list as numpy would have it, mixed ones as objects."""
    items = list(values)
    kinds = {type(value) for value in items}
    if len(kinds) == 1 or kinds <= {int, float}:
        return np.asarray(items)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _plainly(column: Any, kind: str) -> Any:
    if kind == "object" and isinstance(column, np.ndarray) and column.dtype.kind in "Ubiuf":
        return column.astype(object)
    if not isinstance(column, np.ndarray) or column.dtype.kind not in "biuf" or kind == "object" or kind[:1] in "<>|":
        return column
    wanted = np.dtype(kind)
    with np.errstate(invalid="ignore", over="ignore"):
        changed = column.astype(wanted)
    # a decimal such as 0.1 is what a float32 of training was written as
    same = wanted.kind == column.dtype.kind == "f" or np.array_equal(changed.astype(column.dtype), column)
    return changed if same else column


def _texts(column: Any, described: Mapping[str, Any]) -> list[Any]:
    """Values as the categories write them: a file's text is text, and its digits may be text categories."""
    words = all(isinstance(category, str) for category in described["categories"])
    values = column.tolist()
    if not words:
        return list(values)
    return [None if columns.is_missing(value) else value if isinstance(value, str) else str(value) for value in values]


def table(rows: Any, described: Mapping[str, Any], name: str = "rows") -> Stored:
    """The columns that `described` (a manifest's input) asks for, as the model takes them.

    rows: a DataFrame, whose columns stay what they are, or a dict of columns, where lists and objects get the type of
    training. Raises InputError where a column is missing.
    """
    library = columns.library_of(rows)
    rows = rows if library is None else columns.as_pandas(rows)
    found = _by_name(rows, name)
    missing = [c["name"] for c in described["columns"] if c["name"] not in found]
    if missing:
        raise InputError(
            f"column {missing[0]!r}, which the artifact takes, is missing in {name}; "
            f"give {', '.join(c['name'] for c in described['columns'][:12])}"
        )
    if isinstance(rows, Stored):
        rows = rows.only([c["name"] for c in described["columns"]])
        return Stored(rows, rows.labels or _labels(described), rows.library or described.get("library"))
    typed = hasattr(rows, "iloc")
    return Stored(
        {c["name"]: found[c["name"]] if typed else _given(found[c["name"]], c) for c in described["columns"]},
        _labels(described),
        library if typed else described.get("library"),
    )


def _labels(described: Mapping[str, Any]) -> dict[str, Any] | None:
    """The labels of training's columns; JSON has lists where pandas has tuples."""
    labels = described.get("labels")
    return labels and {name: tuple(label) if isinstance(label, list) else label for name, label in labels.items()}


def _given(column: Any, described: Mapping[str, Any]) -> Any:
    column = columns.as_pandas(column) if columns.library_of(column) else column
    if any(kind.__module__.startswith("pandas.") for kind in type(column).__mro__):
        return columns.stored(column)
    column = column if hasattr(column, "dtype") else _array(column)
    return restore(column, described) if column.dtype == object or column.dtype.kind in "U" else column


def _by_name(rows: Any, name: str) -> dict[str, Any]:
    if hasattr(rows, "iloc"):
        return {str(label): columns.stored(rows.iloc[:, place]) for place, label in enumerate(rows.columns)}
    if not hasattr(rows, "keys"):
        raise InputError(f"{name} are named columns here: give a dict of arrays or a DataFrame")
    return {str(label): rows[label] for label in rows}
