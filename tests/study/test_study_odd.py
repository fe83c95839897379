"""Rows with a missing, rare or extreme cell, each column and each kind of cell among them."""

from __future__ import annotations

import numpy as np

from trimwatt.study.odd import FIRST, odd_rows, rows_to_ask
from trimwatt.workload import Data, Rows, Split


def _data(train: Rows, rows: int) -> Data:
    few = {name: c[:3] for name, c in train.items()} if isinstance(train, dict) else train[:3]
    part = Split(few, np.zeros(3, dtype=np.int64))
    return Data(Split(train, np.zeros(rows, dtype=np.int64)), part, part)


def test_every_kind_of_cell_of_every_column_is_among_them() -> None:
    number = np.full(50, 5.0, dtype=np.float32)
    number[[10, 11, 12, 13, 14]] = [np.nan, 0, -3, 900, np.inf]
    text = np.array(["common"] * 50, dtype=object)
    text[[20, 21, 22]] = ["", "rare one", "x"]
    days = np.full(50, "2024-05-05", dtype="datetime64[s]")
    days[[30, 31, 32]] = [np.datetime64("NaT"), np.datetime64("1990-01-01"), np.datetime64("2050-01-01")]
    found = odd_rows(_data({"number": number, "text": text, "days": days}, 50), 2000)["train"]
    assert {10, 11, 12, 13, 14, 20, 21, 22, 30, 31, 32} <= set(found.tolist())


def test_columns_of_one_array_count_one_by_one() -> None:
    x = np.full((40, 30), 1.0)
    x[np.arange(30), np.arange(30)] = np.nan
    assert set(range(30)) <= set(odd_rows(_data(x, 40), 2000)["train"].tolist())
    assert len(odd_rows(_data(x, 40), 7)["train"]) == 7


def test_pictures_that_are_dark_bright_or_flat() -> None:
    x = np.random.default_rng(0).integers(50, 200, (20, 6, 6)).astype(np.uint8)
    x[3], x[4] = 0, 255
    assert {3, 4} <= set(odd_rows(_data(x, 20), 2000)["train"].tolist())


def test_validation_rows_come_first_and_every_row_once() -> None:
    x = np.random.default_rng(0).normal(size=(100, 3))
    part = Split(x, np.zeros(100, dtype=np.int64))
    data = Data(part, part, part)
    chosen = rows_to_ask(data, 40, 0, odd_rows(data, 40))
    assert len(chosen["val"]) >= 40
    assert all(len(set(index.tolist())) == len(index) for index in chosen.values())
    again = rows_to_ask(data, 40, 0, odd_rows(data, 40))
    assert all(np.array_equal(chosen[split], again[split]) for split in chosen)


def test_odd_validation_rows_are_among_the_first() -> None:
    x = np.random.default_rng(0).normal(size=(500, 3))
    part = Split(x, np.zeros(500, dtype=np.int64))
    data = Data(part, part, part)
    odd = odd_rows(data, 500)
    chosen = rows_to_ask(data, 500, 0, odd)
    assert next(iter(chosen)) == "val" and len(chosen["val"]) == 500
    assert set(odd["val"].tolist()) <= set(chosen["val"][: FIRST + len(odd["val"])].tolist())
