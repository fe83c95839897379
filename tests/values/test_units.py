"""Units are parsed strictly and printed for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt import units
from trimwatt.errors import InputError


@pytest.mark.parametrize(
    ("text", "joules"),
    [
        ("5 J", 5),
        ("10kJ", 10_000),
        ("5Wh", 18_000),
        ("3 mWh", 10.8),
        ("1.5MJ", 1.5e6),
        ("20 µJ", 20e-6),
        ("1e3J", 1000),
    ],
)
def test_energy(text: str, joules: float) -> None:
    assert units.parse_energy(text) == pytest.approx(joules)


@pytest.mark.parametrize(("text", "s"), [("5ms", 0.005), ("20min", 1200), ("2h", 7200), ("90 s", 90), ("3us", 3e-6)])
def test_durations(text: str, s: float) -> None:
    assert units.parse_duration(text) == pytest.approx(s)


@pytest.mark.parametrize(("text", "size"), [("1MB", 1e6), ("64MiB", 64 * 2**20), ("512 kB", 512e3), ("10B", 10)])
def test_sizes(text: str, size: float) -> None:
    assert units.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "5", "kJ", "5 kg", "-5J", "5 JJ", "1,5 J", "nan J", "5 mb"])
def test_what_is_not_a_quantity_is_refused_with_an_example(text: str) -> None:
    for parse in (units.parse_energy, units.parse_duration, units.parse_bytes):
        with pytest.raises(InputError, match="write it like"):
            parse(text)


def test_a_budget_is_time_or_energy_and_more_than_nothing() -> None:
    assert units.parse_budget("20min") == units.Budget(1200, "s")
    assert units.parse_budget("40trials") == units.Budget(40, "trials")
    assert str(units.parse_budget("1 trial")) == "1 trial"
    assert units.parse_budget("5Wh") == units.Budget(18_000, "J")
    with pytest.raises(InputError, match="pays for nothing"):
        units.parse_budget("0s")
    with pytest.raises(InputError, match="time, energy or a number of trials"):
        units.parse_budget("10 MB")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.148, "148 mJ"),
        (1900.0, "1.90 kJ"),
        (0.0, "0 J"),
        (999.9996, "1,000 J"),
        (1.2e-6, "1.20 µJ"),
        (5.1e12, "5,100 GJ"),
    ],
)
def test_energy_for_people(value: float, text: str) -> None:
    assert units.joules(value) == text


def test_long_durations_and_small_sizes() -> None:
    assert units.seconds(252) == "4 min 12 s"
    assert units.seconds(7320) == "2 h 2 min"
    assert units.size(999) == "999 B"
    assert units.size(1_140_000) == "1.14 MB"


@given(st.floats(1e-9, 1e12))
def test_what_is_printed_is_within_half_a_unit_of_the_third_digit(value: float) -> None:
    text = units.joules(value).replace(",", "")
    number, unit = text.split()
    assert float(number) * units._table("energy")[unit] == pytest.approx(value, rel=0.0051)
    assert "e" not in number
