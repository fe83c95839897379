"""Tables: target, splits, features, and what is told about them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimwatt.errors import InputError
from trimwatt.input import load
from trimwatt.workload import Data

RNG = np.random.default_rng(0)
ROWS = 200


def _columns() -> dict[str, list[Any]]:
    noise = np.random.default_rng(1).normal(size=ROWS)
    return {
        "size": [f"{value:.4f}" for value in noise],
        "colour": [("red", "green", "blue")[n % 3] for n in range(ROWS)],
        "y": ["yes" if value + n % 5 > 2 else "no" for n, value in enumerate(noise)],
    }


def _csv(path: Path, columns: dict[str, list[Any]]) -> Path:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _load(path: Path, columns: dict[str, list[Any]], **options: Any) -> tuple[Data, str]:
    return load(_csv(path / "t.csv", columns), **{"target": "y", **options})


def _names(data: Data) -> list[str]:
    assert isinstance(data.train.x, dict)
    return list(data.train.x)


def test_columns_come_as_promised(tmp_path: Path) -> None:
    data, task = _load(tmp_path, _columns())
    x = data.train.x
    assert isinstance(x, dict)
    assert (task, data.kind, data.classes, data.name) == ("classification", "table", ("no", "yes"), "t")
    assert x["size"].dtype == np.float32 and x["colour"].dtype == object
    assert data.train.y.dtype == np.int64
    assert [len(data.train), len(data.val), len(data.test)] == [120, 40, 40]
    assert data.warnings == ()


def test_missing_cells_are_nan_and_empty(tmp_path: Path) -> None:
    columns = _columns()
    columns["size"][::10] = ["NA"] * 20
    columns["colour"][::10] = ["?"] * 20
    data, _ = _load(tmp_path, columns)
    whole = [split.x for split in (data.train, data.val, data.test)]
    assert sum(int(np.isnan(x["size"]).sum()) for x in whole) == 20  # type: ignore[call-overload]
    assert sum(int((x["colour"] == "").sum()) for x in whole) == 20  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([str(n % 3) for n in range(ROWS)], "classification", (0, 1, 2)),
        ([f"{n % 3}.0" for n in range(ROWS)], "classification", (0, 1, 2)),
        ([("True", "False")[n % 2] for n in range(ROWS)], "classification", ("False", "True")),
        ([str(n) for n in range(ROWS)], "regression", None),
        ([f"{n},5" for n in range(ROWS)], "regression", None),
        ([str(n % 3 + 0.5) for n in range(ROWS)], "regression", None),
        ([str(n % 45) for n in range(ROWS)], "regression", None),
    ],
)
def test_the_task_is_read_from_the_target(tmp_path: Path, values: list[str], task: str, classes: Any) -> None:
    columns = {"size": _columns()["size"], "y": [f'"{value}"' for value in values]}
    data, found = _load(tmp_path, columns)
    assert (found, data.classes) == (task, classes)
    assert data.train.y.dtype == (np.int64 if classes else np.float64)


def test_the_task_can_be_asked(tmp_path: Path) -> None:
    columns = {**_columns(), "y": [n % 4 for n in range(ROWS)]}
    data, task = _load(tmp_path, columns, task="regression")
    assert task == "regression" and data.classes is None
    columns = {**_columns(), "y": [n % 3 + 0.5 for n in range(ROWS)]}
    data, task = _load(tmp_path, columns, task="classification")
    assert data.classes == ("0.5", "1.5", "2.5")


@pytest.mark.parametrize("name", ["split", "Split", "part"])
def test_a_split_column_is_used(tmp_path: Path, name: str) -> None:
    columns = {**_columns(), name: [("train", "Validation", "test2", "train")[n % 4] for n in range(ROWS)]}
    data, _ = _load(tmp_path, columns, **({"split": "part"} if name == "part" else {}))
    assert [len(data.train), len(data.val), len(data.test)] == [100, 50, 50]
    assert name not in _names(data)


def test_a_split_column_with_strange_values(tmp_path: Path) -> None:
    strange = {**_columns(), "split": [("train", "test", "other", "")[n % 4] for n in range(ROWS)]}
    with pytest.raises(InputError, match=r"holds \(nothing\), other; train, val and test"):
        _load(tmp_path, strange)
    fruit = {**_columns(), "split": [("banana", "cherry")[n % 2] for n in range(ROWS)]}
    data, _ = _load(tmp_path, fruit)
    assert "split" in _names(data) and "taken as a feature" in data.warnings[0]
    with pytest.raises(InputError, match="banana"):
        _load(tmp_path, fruit, split="split")


def test_groups_stay_whole_and_are_no_feature(tmp_path: Path) -> None:
    columns = {**_columns(), "patient": [f"p{n // 4}" for n in range(ROWS)], "n": [n * 7 % 199 for n in range(ROWS)]}
    data, _ = _load(tmp_path, columns, group="patient")
    homes = [
        {int(np.flatnonzero(np.arange(ROWS) * 7 % 199 == n)[0]) // 4 for n in split.x["n"]} for split in _all(data)
    ]  # type: ignore[call-overload]
    assert "patient" not in _names(data)
    assert len(homes[0] & homes[2]) <= 1  # 199 < 200: one value stands twice


def _all(data: Data) -> tuple[Any, Any, Any]:
    return data.train, data.val, data.test


def test_time_orders_the_splits(tmp_path: Path) -> None:
    start = datetime.date(2020, 1, 1)
    days = [start + datetime.timedelta(days=(n * 77) % ROWS) for n in range(ROWS)]
    data, _ = _load(tmp_path, {**_columns(), "day": days, "age": [(n * 77) % ROWS for n in range(ROWS)]}, time="day")
    ages = [split.x["age"] for split in _all(data)]
    assert ages[0].max() < ages[1].min() and ages[1].max() < ages[2].min()
    with pytest.raises(InputError, match="time column 'colour' holds red"):
        _load(tmp_path, _columns(), time="colour")


def test_dates_become_numbers_that_can_be_made_again(tmp_path: Path) -> None:
    days = [f"{n % 28 + 1:02d}.{n % 12 + 1:02d}.2021 {n % 24:02d}:00" for n in range(ROWS)]
    data, _ = _load(tmp_path, {**_columns(), "when": days})
    assert [name for name in _names(data) if name.startswith("when")] == [
        "when_month",
        "when_day",
        "when_weekday",
        "when_hour",
    ]
    assert data.derive["when"]["order"] == "dmy"


def test_columns_that_tell_nothing_are_dropped_and_named(tmp_path: Path) -> None:
    columns = {
        "row": list(range(ROWS)),
        "customer_id": RNG.permutation(ROWS * 3)[:ROWS].tolist(),
        "name": [f"person {n}" for n in range(ROWS)],
        "note": [f"said {n // 2} words" if n % 9 else "" for n in range(ROWS)],
        "planet": ["earth"] * ROWS,
        "nothing": [""] * ROWS,
        **_columns(),
    }
    data, _ = _load(tmp_path, columns)
    assert _names(data) == ["size", "colour"]
    told = " ".join(data.warnings)
    assert all(name in told for name in ("row", "customer_id", "name", "note", "planet", "nothing"))


def test_what_is_dropped_needs_no_derivation(tmp_path: Path) -> None:
    split = ["train"] * 120 + ["val"] * 40 + ["test"] * 40
    days = ["2021-01-05"] * 120 + ["2021-02-06"] * 80
    columns = {
        **_columns(),
        "share": ["5%"] * 120 + ["6%"] * 80,
        "day": days,
        "tax": ["3%", "4%"] * 100,
        "split": split,
    }
    data, _ = _load(tmp_path, columns)
    assert _names(data) == ["size", "colour", "tax"] and list(data.derive) == ["tax"]


def test_a_given_model_gets_its_columns_as_stored(tmp_path: Path) -> None:
    columns = {"row": list(range(ROWS)), "day": ["2021-01-05"] * ROWS, "planet": ["earth"] * ROWS, **_columns()}
    data, _ = _load(tmp_path, columns, as_stored=True)
    x = data.train.x
    assert isinstance(x, dict)
    assert list(x) == ["row", "day", "planet", "size", "colour"]
    assert x["day"][0] == "2021-01-05"
    assert "planet" in data.warnings[-1] and data.derive == {}


def test_leaks_are_told(tmp_path: Path) -> None:
    columns = _columns()
    columns["answer"] = ["1" if y == "yes" else "0" for y in columns["y"]]
    columns["score"] = [float(a) + n / 1000 for n, a in enumerate(columns["answer"])]
    data, _ = _load(tmp_path, columns)
    assert [w for w in data.warnings if "column answer alone" in w]
    assert not [w for w in data.warnings if "colour" in w or "size" in w]


def test_a_rare_class_makes_no_leak_of_every_column(tmp_path: Path) -> None:
    rows = 4000
    columns = {
        "size": RNG.normal(size=rows).tolist(),
        "colour": [("red", "green", "blue")[n % 3] for n in range(rows)],
        "y": ["rare" if n % 250 == 0 else "usual" for n in range(rows)],
    }
    data, _ = _load(tmp_path, columns)
    assert data.warnings == ()


def test_sums_that_make_the_target_are_told(tmp_path: Path) -> None:
    a, b = RNG.normal(size=ROWS), RNG.normal(size=ROWS)
    columns = {"a": a.tolist(), "b": b.tolist(), "c": RNG.normal(size=ROWS).tolist(), "y": (2 * a + b).tolist()}
    data, _ = _load(tmp_path, columns)
    assert [w for w in data.warnings if "weighted sum of columns a, b:" in w]
    columns["y"] = (2 * a + b + 0.1 * RNG.normal(size=ROWS)).tolist()
    data, _ = _load(tmp_path, columns)
    assert data.warnings == ()


def test_duplicates_between_splits_are_counted(tmp_path: Path) -> None:
    columns = {**_columns(), "split": ["train"] * 120 + ["val"] * 40 + ["test"] * 40}
    for column in columns.values():
        column[160:167] = column[:7]
    columns["split"][160:167] = ["test"] * 7
    data, _ = _load(tmp_path, columns)
    assert data.independence.kinds == ("twins",) and data.independence.rows == 7 and not data.independence.withheld
    assert [w for w in data.warnings if "7 of 40 test rows repeat rows of another split" in w]
    columns["y"][160] = "no" if columns["y"][160] == "yes" else "yes"
    data, _ = _load(tmp_path, columns)
    assert data.independence.rows == 7  # whatever its target, the row was seen


def test_a_class_of_test_rows_only_is_told(tmp_path: Path) -> None:
    columns = {**_columns(), "split": ["train"] * 120 + ["val"] * 40 + ["test"] * 40}
    columns["y"][170:173] = ["maybe"] * 3
    data, _ = _load(tmp_path, columns)
    assert data.classes == ("maybe", "no", "yes")
    assert [w for w in data.warnings if "class maybe stands only in test (3 rows)" in w]


def _with(**changed: list[Any]) -> dict[str, list[Any]]:
    return {**_columns(), **changed}


@pytest.mark.parametrize(
    ("columns", "options", "match"),
    [
        (_columns(), {"target": None}, "which column is the target.*size, colour, y"),
        (_columns(), {"target": "color"}, "did you mean 'colour'"),
        (_columns(), {"target": "Y"}, "did you mean 'y'"),
        (_columns(), {"task": "regression"}, "holds text .*regression needs numbers"),
        (_columns(), {"task": "forecast"}, "classification, multilabel and regression"),
        (_columns(), {"task": "detection"}, "classification, multilabel and regression"),
        (_columns(), {"task": "clustering"}, "auto, classification, multilabel, regression"),
        (_columns(), {"split": "part"}, "no named column 'part'"),
        (_columns(), {"group": "y"}, "is the target and cannot"),
        (_columns(), {"group": "colour", "time": "size"}, "one of them"),
        (_with(y=["yes"] * ROWS), {}, "one class only"),
        (_with(y=["3.5"] * ROWS), {}, "one value only"),
        (_with(y=["", *["a", "b"] * 99, "a"]), {}, "missing in 1 of 200 rows .first: row 1"),
        (_with(y=["nan", *range(199)]), {}, "missing in 1 of 200"),
        (_with(y=["inf", *range(199)]), {}, "NaN or infinite in 1 of 200"),
        (_with(y=[f"name {n}" for n in range(ROWS)]), {}, "too few rows"),
        (_with(y=[n * 1.5 for n in range(ROWS)]), {"task": "classification"}, "too many for classes"),
        ({name: column[:49] for name, column in _columns().items()}, {}, "49 rows are too few"),
        (_with(y=["b"] * 3 + ["a"] * 197), {}, "too few rows of b .3 rows"),
        (_with(y=[f"rare {n}" for n in range(50)] + ["a", "b", "c"] * 50), {}, "merge rare classes"),
        ({"text": [f"some words {n}" for n in range(ROWS)], "y": _columns()["y"]}, {}, "turn free text into numbers"),
        ({"one": [1] * ROWS, "y": _columns()["y"]}, {}, "no feature is left"),
        ({"5.1": [1] * ROWS, "3.5": [2] * ROWS, "7": [2] * ROWS}, {}, "first line looks like data"),
        (_with(split=["test"] * ROWS), {}, "none for train"),
        (_with(split=["train"] * 191 + ["test"] * 9), {}, "test holds 9 rows"),
        (_with(y=["a", "b"] * 80 + ["a"] * 40, split=["train"] * 160 + ["test"] * 40), {}, "test rows hold one class"),
    ],
)
def test_bad_tables_are_refused_in_one_line(
    tmp_path: Path, columns: dict[str, list[Any]], options: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match) as caught:
        _load(tmp_path, columns, **options)
    assert "\n" not in str(caught.value)


def test_infinite_features_become_missing_and_are_told(tmp_path: Path) -> None:
    columns = _columns()
    columns["size"][0] = "inf"
    columns["size"][1] = "1e300"
    data, _ = _load(tmp_path, columns)
    assert [w for w in data.warnings if "2 infinite or too large" in w]


def test_numbers_beyond_single_precision_are_told(tmp_path: Path) -> None:
    columns = {
        **_columns(),
        "stamp": [10**12 + n * 7 % ROWS for n in range(ROWS)],
        "epoch": [10**9 * n for n in range(ROWS)],
    }
    data, _ = _load(tmp_path, columns)
    assert [
        w
        for w in data.warnings
        if "column 'stamp': 200 of 200 values change in float32" in w and "200 distinct ones become 1;" in w
    ]
    assert not [w for w in data.warnings if "epoch" in w]


def test_parquet_with_every_type(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import decimal

    import pyarrow.parquet as pq

    base = _columns()
    table = pa.table(
        {
            "size": pa.array([float(v) if n % 7 else None for n, v in enumerate(base["size"])]),
            "kind": pa.array(base["colour"]).dictionary_encode(),
            "flag": pa.array([None if n % 50 == 0 else n % 3 == 0 for n in range(ROWS)]),
            "price": pa.array([decimal.Decimal(n % 90) / 4 for n in range(ROWS)], pa.decimal128(10, 2)),
            "count": pa.array([None if n == 3 else n % 11 for n in range(ROWS)], pa.int64()),
            "when": pa.array([datetime.datetime(2021, n % 12 + 1, 1) for n in range(ROWS)], pa.timestamp("ms", "UTC")),
            "y": pa.array([n % 3 == 1 for n in range(ROWS)]),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    data, task = load(tmp_path / "t.parquet", target="y")
    x = data.train.x
    assert isinstance(x, dict)
    assert list(x) == ["size", "kind", "flag", "price", "count", "when_month", "when_weekday"]
    assert {name: column.dtype.kind for name, column in x.items()} == dict.fromkeys(x, "f") | {"kind": "O"}
    assert (task, data.classes) == ("classification", (0, 1))
    assert set(np.unique(x["flag"][~np.isnan(x["flag"])])) == {0, 1}


def test_bad_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"y": [0, 1] * 50, "x": [[1]] * 100}), tmp_path / "nested.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing more")
    (tmp_path / "empty.parquet").write_bytes(b"")
    pq.write_table(pa.table({"y": pa.array([], pa.int64())}), tmp_path / "none.parquet")
    for name, match in {"nested": "list", "bad": "not a readable", "empty": "empty", "none": "no rows"}.items():
        with pytest.raises(InputError, match=match):
            load(tmp_path / f"{name}.parquet", target="y")


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    _csv(tmp_path / "table.csv", _columns())
    (tmp_path / "sheet.xlsx").write_bytes(b"PK")
    (tmp_path / "model.onnx").write_bytes(b"x")
    for name, match in {
        "tabel.csv": "did you mean .*table.csv",
        "sheet.xlsx": "save the sheet",
        "model.onnx": "--data",
    }.items():
        with pytest.raises(InputError, match=match):
            load(tmp_path / name, target="y")
