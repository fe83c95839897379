"""Numbers and dates as people write them."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimwatt.rows import cells, dates

STYLES = [cells.Style(d, t) for d, t in [(".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", "'")]]


def _written(value: int, style: cells.Style) -> str:
    """Hundredths as text in `style`."""
    whole, hundredths = divmod(abs(value), 100)
    sign = "-" if value < 0 else ""
    return f"{sign}{f'{whole:,}'.replace(',', style.thousands)}{style.decimal}{hundredths:02d}"


@given(values=st.lists(st.integers(-(10**9), 10**9), min_size=1), style=st.sampled_from(STYLES))
@settings(max_examples=200, deadline=None)
def test_styled_numbers_round_trip(values: list[int], style: cells.Style) -> None:
    column = [_written(value, style) for value in values]
    found = cells.style_of(set(column), ";")
    assert found is not None
    assert cells.styled_numbers(column, found) == pytest.approx([value / 100 for value in values])


@pytest.mark.parametrize(
    ("column", "delimiter", "expected"),
    [
        (["1,234", "12,500"], ",", [1234, 12500]),
        (["1,234", "12,500"], ";", [1.234, 12.5]),
        (["1,234,567"], ";", [1234567]),
        (["1.234.567,8"], ";", [1234567.8]),
        (["12 %", "3.5%"], ",", [12, 3.5]),
        (["$1,200.50", "$3"], ",", [1200.5, 3]),
        (["1 234,5 €", "2 €"], ";", [1234.5, 2]),
        (["\u22125", "3"], ",", [-5, 3]),
        (["1e3", "-.5"], ",", [1000, -0.5]),
    ],
)
def test_numbers_in_their_clothes(column: list[str], delimiter: str, expected: list[float]) -> None:
    style = cells.style_of(set(column), delimiter)
    assert style is not None
    assert cells.styled_numbers(column, style).tolist() == expected


@pytest.mark.parametrize("column", [["1,2,3"], ["1.2.3"], ["$5", "€5"], ["12a"], ["1,23,456"], ["007"], ["", "x"]])
def test_what_is_no_number_stays_text(column: list[str]) -> None:
    assert cells.style_of(set(column), ",") is None


def test_booleans_and_words() -> None:
    truth = cells.booleans(["True", "FALSE", "", "true"])
    assert truth is not None
    np.testing.assert_array_equal(truth, [1, 0, np.nan, 1])
    assert cells.booleans(["true", "maybe"]) is None
    assert cells.booleans(["", "NA"]) is None
    assert cells.words(["a", "NA", "None"]).tolist() == ["a", "", "None"]


@given(times=st.lists(st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2068, 12, 31)), min_size=1))
@settings(max_examples=100, deadline=None)
def test_date_parts_are_those_of_the_calendar(times: list[datetime.datetime]) -> None:
    parsed = dates.parse([f"{time:%Y-%m-%d %H:%M:%S}" for time in times], "ymd")
    expected = {
        "year": [t.year for t in times],
        "month": [t.month for t in times],
        "day": [t.day for t in times],
        "weekday": [t.weekday() for t in times],
        "hour": [t.hour for t in times],
    }
    assert {part: dates.part(parsed, part).tolist() for part in dates.PARTS} == expected


@pytest.mark.parametrize(
    ("column", "order", "iso"),
    [
        (["31.12.2024", "01.02.24"], "dmy", "2024-12-31T00:00:00"),
        (["31/12/2024 7:05"], "dmy", "2024-12-31T07:05:00"),
        (["12/31/2024 12:05:06 am"], "mdy", "2024-12-31T00:05:06"),
        (["12/31/2024 1:05 PM"], "mdy", "2024-12-31T13:05:00"),
        (["31 Dec 2024", "1-Jan-2024"], "ymd", "2024-12-31T00:00:00"),
        (["December 31, 2024 23:59"], "ymd", "2024-12-31T23:59:00"),
        (["7:05", "19:30:36"], "clock", "1970-01-01T07:05:00"),
        (["2024-12-31T07:05:06.123Z"], "ymd", "2024-12-31T07:05:06"),
        (["2024/12/31 07:05:06+02:00"], "ymd", "2024-12-31T07:05:06"),
    ],
)
def test_dates_in_their_orders(column: list[str], order: str, iso: str) -> None:
    assert dates.order_of(set(column)) == order
    assert str(dates.parse(column, order)[0]) == iso


@pytest.mark.parametrize(
    "cell",
    [
        "1.2.3",
        "3.11.7",
        "3.11.10",
        "2024-13",
        "1-2-345",
        "word",
        "25:30",
        "12:60",
        "123-1-2024",
        "31 Dex 2024",
        "Dec 2024",
    ],
)
def test_what_is_no_date_stays_text(cell: str) -> None:
    order = dates.order_of({cell})
    if order in ("dmy", "mdy", "?"):
        with pytest.raises(ValueError, match=cell):
            dates.parse([cell], "ymd")
    else:
        assert order is None


def test_a_clock_is_hours() -> None:
    np.testing.assert_allclose(dates.part(dates.parse(["7:30", "7:30 pm", ""], "clock"), "hours"), [7.5, 19.5, np.nan])


def test_missing_dates_have_missing_parts() -> None:
    parsed = dates.parse(["2024-01-01", "", "NA"], "ymd")
    np.testing.assert_array_equal(dates.part(parsed, "year"), [2024, np.nan, np.nan])
