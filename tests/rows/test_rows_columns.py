"""Stored columns: what they hold, in plain form, and which numbers float32 changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimwatt.rows import columns, described
from trimwatt.rows.view import Seen, View

MISSING = [None, np.nan, pd.NA, pd.NaT]


@pytest.mark.parametrize(
    ("column", "kind", "plain"),
    [
        (np.array([1, 2], np.int64), "number", [1.0, 2.0]),
        (np.array([True, False]), "number", [1.0, 0.0]),
        (np.ma.masked_greater(np.array([1, 9]), 5), "number", [1.0, None]),
        (pd.array([1, None], dtype="Int64"), "number", [1.0, None]),
        (pd.array([True, None], dtype="boolean"), "number", [1.0, None]),
        (pd.array([" a ", None], dtype="string"), "text", ["a", ""]),
        (pd.Categorical(["b", None], categories=["b", "c"]), "text", ["b", ""]),
        (pd.Categorical([3, 4]), "number", [3.0, 4.0]),
        (np.array(["x", None, 7], dtype=object), "text", ["x", "", "7"]),
        (np.array([1, None, 2.5], dtype=object), "number", [1.0, None, 2.5]),
        (np.array(["2024-01-02"], "datetime64[ns]"), "date", [pd.Timestamp("2024-01-02")]),
        (pd.Series(pd.to_datetime(["2024-01-02 03:00"]).tz_localize("Asia/Tokyo")).array, "date",
         [pd.Timestamp("2024-01-02 03:00")]),
    ],
)  # fmt: skip
def test_every_type_has_a_kind_and_a_plain_form(column: Any, kind: str, plain: list[Any]) -> None:
    assert columns.kind_of(column) == kind
    found = [None if isinstance(v, float) and v != v else v for v in columns.plain(column, "c").tolist()]
    assert found == plain


@pytest.mark.parametrize(
    ("values", "moved"),
    [
        (1_700_000_000 + np.arange(3600), True),  # unix seconds
        (20_240_101 + np.arange(30), True),  # dates as digits
        (np.round(52 + np.random.default_rng(1).random(100) / 10, 6), True),  # degrees
        (np.arange(100) + 16_777_216.05, True),  # amounts with cents
        (np.arange(100) * 0.01, False),  # small amounts
        (np.append(np.zeros(2000), np.arange(100) + 16_777_216.05), True),  # the first rows say nothing of the step
        (np.append(np.arange(2000) + 16_777_216.25, 16_777_216.1), True),
        (np.arange(100) * 60 + 16_777_216, False),  # a step that float32 still tells apart
        (np.random.default_rng(0).normal(size=500), False),
        (1e9 + np.random.default_rng(0).normal(size=500), True),
        (np.full(50, 0.1), False),
        (np.array([np.nan, np.nan]), False),
        (np.array([1.0, np.nan, np.inf]), False),
    ],
)
def test_numbers_that_change_in_float32_are_counted(values: np.ndarray, moved: bool) -> None:
    assert (columns.moved(values) > 0) == moved


@given(st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=50))
@settings(max_examples=50, deadline=None)
def test_whole_numbers_of_24_bits_never_change(values: list[int]) -> None:
    assert columns.moved(np.array(values)) == 0


def test_whatever_stands_for_nothing_is_missing() -> None:
    assert all(columns.is_missing(value) for value in MISSING)
    assert all(columns.is_missing(value) for value in (np.float32("nan"), Decimal("nan"), np.datetime64("NaT")))
    assert not any(
        columns.is_missing(value) for value in ("", "nan", 0, False, np.array([1, 2]), [None], np.str_("NA"))
    )
    assert not any(columns.is_missing(value) for value in ["", "NA", 0, False, "nan"])


def test_a_view_reads_styles_and_dates_and_says_what_it_cannot() -> None:
    view = View(
        (
            Seen("price", "price", "number", {"kind": "number", "decimal": ".", "thousands": ",", "affix": "$"}),
            Seen("day_month", "day", "date", {"order": "ymd", "part": "month"}),
            Seen("word", "word", "text"),
        )
    )
    rows = {
        "price": np.array(["$1,234", None], object), "word": np.array([" NA", " up "], object),
        "day": pd.to_datetime(["2024-05-06", None]).to_numpy(), "other": np.zeros(2),
    }  # fmt: skip
    for seen in (view, View.from_json(view.to_json())):
        found = seen.apply(rows)
        assert found["price"][0] == 1234 and np.isnan(found["price"][1])
        assert found["day_month"][0] == 5 and np.isnan(found["day_month"][1])
        assert found["word"].tolist() == ["", "up"]
    assert view.stored(["day_month", "word"]) == ("day", "word")
    assert list(view.apply(rows, {"word"})) == ["word"]
    with pytest.raises(Exception, match="column 'price' holds 'dear' in row 1; the model takes numbers there"):
        view.apply({**rows, "price": np.array(["dear", "$1"], object)})


@pytest.mark.parametrize(
    ("stored", "later"),
    [
        (pd.Categorical(["a", "b"], categories=["b", "a"]), ["b", "a"]),
        (pd.Categorical([7, 8]), [8, 7]),
        (pd.array([1, None], dtype="Int64"), [2, None]),
        (pd.array(["x", None], dtype="string"), ["y", None]),
        (np.array(["2024-01-01"], "datetime64[ns]"), ["2024-02-01"]),
        (np.array([1, 2]), np.array([3.0, 4.0])),
        (np.array([1.5]), np.array([3])),
        (np.array(["x", None], object), ["y", "z"]),
    ],
)
def test_what_comes_later_gets_the_type_of_training(stored: Any, later: Any) -> None:
    restored = described.restore(later, described.describe(stored))
    assert restored.dtype == stored.dtype
    assert list(pd.Series(restored).astype(str)) == list(pd.Series(later, dtype=stored.dtype).astype(str))


def test_a_value_that_the_type_cannot_hold_is_left_as_it_is() -> None:
    assert described.restore(np.array([1.5, 2]), {"dtype": "int64"}).tolist() == [1.5, 2]
    assert described.restore(np.array(["soon"], object), {"dtype": "datetime64[ns]"}).tolist() == ["soon"]
