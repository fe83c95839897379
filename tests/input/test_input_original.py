"""The user's own rows of a split: the very cells of the object that was given, whatever its type."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trimwatt.input import load
from trimwatt.workload import Data

ROWS = 120
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3))
Y = np.arange(ROWS) % 2


def _frame() -> pd.DataFrame:
    cells = {"number": np.arange(ROWS), "code": np.where(Y, " up", "NA"), 7: X[:, 0]}
    return pd.DataFrame(cells, index=[f"row {i}" for i in range(ROWS)]).astype({"code": "category"})


def _numbers(rows: Any) -> list[float]:
    if isinstance(rows, pd.DataFrame | dict):
        return [float(value) for value in rows["number"]]
    return [float(value) for value in rows[:, 0]]


def _check(data: Data, numbers: dict[str, list[int]] | None = None) -> None:
    assert data.original is not None
    for name in ("train", "val", "test"):
        split = getattr(data, name)
        whole = data.original(name, slice(None))
        stored = split.x["number"] if isinstance(split.x, dict) else split.x[:, 0]
        assert _numbers(whole) == [float(value) for value in stored]
        index = np.array([3, 0, 2])
        assert _numbers(data.original(name, index)) == [float(stored[i]) for i in index]


@pytest.mark.parametrize("form", ["frame", "pair", "pairs", "frames", "split column", "columns", "group"])
def test_named_columns_come_back_as_they_were(form: str) -> None:
    frame = _frame()
    whole = frame.assign(y=Y, split=np.where(np.arange(ROWS) % 5 == 0, "test", "train"), who=np.arange(ROWS) // 2)
    bare = whole.drop(columns=["split", "who"])
    sources: dict[str, tuple[Any, dict[str, Any]]] = {
        "frame": (bare, {"target": "y"}),
        "pair": ((frame, Y), {}),
        "pairs": (((frame, Y), (frame[::-1], Y[::-1])), {}),
        "frames": ((bare, bare[:50], bare[20:]), {"target": "y"}),
        "split column": (whole, {"target": "y"}),
        "columns": ({"x": {str(name): frame[name].to_numpy() for name in frame}, "y": Y}, {}),
        "group": (whole.drop(columns="split"), {"target": "y", "group": "who"}),
    }
    source, options = sources[form]
    data, _ = load(source, **options, as_stored=True)
    _check(data)
    rows = data.original("val", slice(0, 9))  # type: ignore[misc]
    if form == "columns":
        assert list(rows) == ["number", "code", "7"]
        return
    own = frame.loc[rows.index]
    pd.testing.assert_frame_equal(rows.drop(columns="who", errors="ignore"), own)


@pytest.mark.parametrize("make", [np.asarray, np.ndarray.tolist, "torch"])
def test_arrays_come_back_as_they_were(make: Any) -> None:
    if make == "torch":
        make = pytest.importorskip("torch").tensor
    x = np.column_stack([np.arange(ROWS), X])
    data, _ = load((make(x), Y))
    _check(data)
    rows = data.original("test", np.arange(4))  # type: ignore[misc]
    assert type(rows) in (np.ndarray, type(make(x)))


def test_it_stays_in_its_process_and_files_have_none(tmp_path: Any) -> None:
    data, _ = load((_frame(), Y))
    kept = pickle.loads(pickle.dumps(data))
    assert kept.original is None and len(kept.val) == len(data.val)
    _frame().assign(y=Y).rename(columns=str).to_parquet(tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet", target="y")[0].original is None
