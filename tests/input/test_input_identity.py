"""Labels and groups keep their identity, whatever their type, size and source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trimwatt.errors import InputError
from trimwatt.input import load, target

ROWS = 120
X = pd.DataFrame({"a": np.random.default_rng(0).normal(size=ROWS), "b": np.arange(ROWS) % 7 / 7})
TWO = np.arange(ROWS) % 2


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pd.Series(["0", "1"] * 60, dtype="category"), ("0", "1")),
        (pd.Series(["0", "1"] * 60, dtype=object), ("0", "1")),
        (pd.Series([0, 1] * 60), (0, 1)),
        (pd.Series([0.0, 1.0] * 60), (0, 1)),
        (pd.Series([0, 1] * 60, dtype="Int64"), (0, 1)),
        (pd.Series([False, True] * 60), (0, 1)),
        (pd.Series(["NA", "EU"] * 60), ("EU", "NA")),
        (pd.Series(["", "full"] * 60), ("", "full")),
        (pd.Series([" up", "up"] * 60), (" up", "up")),
        (pd.Series(["101", "1e3"] * 60), ("101", "1e3")),
        (pd.Series([2**53, 2**53 + 1] * 60), (2**53, 2**53 + 1)),
        (pd.Series([20_240_000_000, 20_240_000_001] * 60), (20_240_000_000, 20_240_000_001)),
        (pd.Series(pd.Categorical([10, 9] * 60)), (9, 10)),
    ],
)
def test_labels_of_a_frame_keep_their_type(labels: pd.Series[Any], classes: tuple[Any, ...], tmp_path: Path) -> None:
    for stored in (False, True):
        for source in ((X, labels), (X.assign(y=labels), None)):
            data, _ = load(source if source[1] is not None else source[0], as_stored=stored, task="classification",
                           target=None if source[1] is not None else "y")  # fmt: skip
            assert data.classes == classes and [type(c) for c in data.classes] == [type(c) for c in classes]
    pytest.importorskip("pyarrow")
    X.assign(y=labels).to_parquet(tmp_path / "t.parquet")
    assert load(tmp_path / "t.parquet", target="y", task="classification")[0].classes == classes


def test_labels_that_differ_in_the_seventh_digit_are_two() -> None:
    y = np.where(TWO, 0.1234567, 0.1234568)
    assert load((X, y), task="classification")[0].classes == ("0.1234567", "0.1234568")
    assert load((X, np.where(TWO, 0.1, 0.5).astype(np.float32)), task="classification")[0].classes == ("0.1", "0.5")
    mixed = np.where(TWO, 1.0, 0.5)
    data, _ = load((X, mixed), task="classification")
    assert data.classes == ("0.5", "1") and set(data.train.y.tolist()) == {0, 1}


def test_text_that_is_an_amount_is_still_one() -> None:
    prices = pd.Series([f"${1000 + 7 * i:,}.50" for i in range(ROWS)])
    data, task = load((X, prices))
    assert task == "regression" and data.train.y.min() >= 1000.5
    assert load((X, pd.Series(["1", "2"] * 60)), task="regression")[1] == "regression"


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_label_is_told(missing: Any) -> None:
    labels = pd.Series(["a", missing, "b"] * 40, dtype=object)
    with pytest.raises(InputError, match=r"is missing in 40 of 120 rows \(first: row 2\)"):
        load((X, labels))


@pytest.mark.parametrize(
    "dates",
    [
        pd.Series(pd.date_range("2024-01-01", periods=ROWS, freq="h")),
        pd.Series(pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="UTC")),
        pd.Series([d.date() for d in pd.date_range("2024-01-01", periods=ROWS)], dtype=object),
        pd.date_range("2024-01-01", periods=ROWS, freq="D").strftime("%Y-%m-%d").to_series(index=range(ROWS)),
    ],
)
def test_a_date_is_no_target(dates: pd.Series[Any], tmp_path: Path) -> None:
    for source in (X.assign(y=dates), None):
        if source is None:
            X.assign(y=dates).to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(InputError, match="a date cannot be predicted; give a number"):
            load(tmp_path / "t.csv" if source is None else source, target="y")
    with pytest.raises(InputError, match="a date cannot be predicted; give a number"):
        target.encode({"all": dates.to_numpy()}, "auto", "y")


GROUPS = {
    "small": 1 + np.arange(ROWS) // 4,
    "large": 20_240_000_000 + np.arange(ROWS) // 4,
    "beyond 2**53": 2**53 + np.arange(ROWS) // 4,
    "dates": pd.date_range("2024-01-01", periods=ROWS // 4).repeat(4),
    "text": [f"u {i // 4}" for i in range(ROWS)],
    "digits": [f"{i // 4}" for i in range(ROWS)],
    "category": pd.Categorical([f"u{i // 4}" for i in range(ROWS)]),
    "fractions": np.arange(ROWS) // 4 + 0.1234567,
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_the_same_in_every_source(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = X.assign(row=np.arange(ROWS) * 1.5, who=GROUPS[name], y=np.random.default_rng(1).integers(0, 2, ROWS))
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    found = []
    for source in (frame, tmp_path / "t.csv", tmp_path / "t.parquet"):
        data, _ = load(source, target="y", group="who")
        parts = [set((data_part.x["row"] / 1.5).astype(int) // 4) for data_part in (data.train, data.val, data.test)]
        assert sum(len(part) for part in parts) == ROWS // 4
        found.append(parts)
    assert found[0] == found[1] == found[2]


def test_time_in_nanoseconds_is_not_rounded() -> None:
    time = 1_700_000_000_000_000_000 + np.random.default_rng(0).permutation(ROWS)
    data, _ = load(X.assign(t=time, y=TWO, row=np.arange(ROWS) / 2), target="y", time="t")
    order = [time[(part.x["row"] * 2).astype(int)] for part in (data.train, data.val, data.test)]
    assert order[0].max() < order[1].min() and order[1].max() < order[2].min()
