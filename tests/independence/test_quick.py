"""The quick ways of sorting, numbering and comparing find what the plain ways find."""

from __future__ import annotations

import numpy as np
import pytest

from trimwatt.independence import groups, moments, twins
from trimwatt.independence._base import Table
from trimwatt.independence._columns import folded
from trimwatt.independence._sorting import first_rows, run_length, sort_order
from trimwatt.workload import Array

_RNG = np.random.default_rng(0)
_VALUES = {
    "numbers": _RNG.normal(size=5000),
    "single numbers in steps": _RNG.normal(size=5000).round(1).astype(np.float32),
    "few whole numbers": _RNG.integers(-3, 4, 5000),
    "large whole numbers": _RNG.integers(0, 2**63, 5000).astype(np.uint64),
    "one value": np.full(100, 7.0),
    "zeros of both signs": np.array([0.0, -0.0, 1.0, -0.0, 0.0] * 50),
    "infinite": np.array([np.inf, 1.0, -np.inf, np.inf, 1.0] * 50),
    "nothing": np.empty(0),
}


@pytest.mark.parametrize("name", _VALUES)
def test_an_order_is_that_of_a_stable_sort(name: str) -> None:
    values = _VALUES[name]
    np.testing.assert_array_equal(sort_order(values), np.argsort(values, kind="stable"))


@pytest.mark.parametrize("name", _VALUES)
def test_equal_values_beside_each_other_are_counted(name: str) -> None:
    ordered = np.sort(_VALUES[name])
    size = np.unique(ordered, return_counts=True)[1]
    np.testing.assert_array_equal(run_length(ordered), np.repeat(size, size))


def test_first_rows_of_labels_some_of_which_do_not_occur() -> None:
    labels = np.array([4, 2, 4, 0, 2, 2, 9])
    assert first_rows(labels).tolist() == [3, 1, 0, 6]
    assert len(first_rows(np.empty(0, np.int64))) == 0


@pytest.mark.parametrize("values", [5000, 300, 2])
def test_rows_of_one_key_stand_together_and_many_of_them_in_order(values: int) -> None:
    keys = np.random.default_rng(1).integers(0, values, 2000).astype(np.uint64)
    tie_break = np.random.default_rng(2).normal(size=2000)
    plain = np.lexsort((tie_break, keys))

    def compared(order: Array) -> set[tuple[int, int]]:
        pairs = [(order[:-step], order[step:]) for step in range(1, twins._NEIGHBOURS + 1)]
        return {
            (min(i, j), max(i, j)) for a, b in pairs for i, j in zip(a.tolist(), b.tolist(), strict=True)
            if keys[i] == keys[j]
        }  # fmt: skip

    assert compared(twins._grouped(keys, tie_break)) == compared(plain)


def test_distances_in_blocks_are_distances() -> None:
    x = np.random.default_rng(3).normal(size=(2100, 3)).astype(np.float32)
    plain = ((x[:, None] - x[None]).astype(np.float64) ** 2).sum(axis=2)
    np.fill_diagonal(plain, np.inf)
    found = np.concatenate([groups._from(x, groups._weights(x), block) for block in groups._blocks(len(x))])
    np.testing.assert_allclose(found, plain, atol=1e-4)


def test_dates_alone_are_the_dates_among_all_that_tell_a_time() -> None:
    day = np.datetime64("2021-03-01", "s") + 86400 * np.arange(900)
    x = {
        "seconds": 1_600_000_000 + 60 * np.arange(900), "counter": np.arange(900), "amount": _RNG.normal(size=900),
        "written": np.array([int(str(d)[:10].replace("-", "")) for d in day]), "whole": _RNG.integers(0, 5, 900),
        "half": np.arange(900) / 2 + 0.25,
    }  # fmt: skip
    table = Table(x, np.zeros(900), False, keys={"day": day}, part=np.repeat([0, 1, 2], 300))
    every = list(moments.moments_of(table))
    assert [m.names[0] for m in every if m.sure] == ["day", "seconds", "written"]
    assert [m.names[0] for m in every if not m.sure and not m.loose] == ["counter", "half"]
    assert [m.names for m in moments.moments_of(table, only_sure=True)] == [m.names for m in every if m.sure]


def test_text_that_is_no_day_of_the_calendar_is_unknown_and_all_others_are_read() -> None:
    cells = [f"2021-01-{day:02d}" for day in range(1, 32)] + ["2021-13-45", "unknown", "2021-02-30", ""]
    read = moments._dates(cells)
    assert np.isnan(read[31:]).all()
    first = np.datetime64("2021-01-01", "s").astype(np.int64)
    np.testing.assert_array_equal(read[:31], first + 86400 * np.arange(31))


def test_folded_text_keeps_missing_cells_as_one_and_digits_where_they_tell() -> None:
    cells = np.array(["Red 1", "red  1", "RED 2", None, float("nan"), "blue 1"], dtype=object)
    labels = folded(cells)
    assert labels[0] == labels[1] == labels[2] and labels[3] == labels[4]
    assert len(set(labels.tolist())) == 3
    numbered = np.array([f"p{n}" for n in range(40)], dtype=object)
    assert len(set(folded(numbered).tolist())) == 40
