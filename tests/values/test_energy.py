"""Energy keeps its interval and origin through arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.energy import ORIGINS, Energy, Reading, total

energies = st.builds(
    lambda j, a, b, o: Energy(j, j - a, j + b, o),
    st.floats(0, 1e9), st.floats(0, 1e6), st.floats(0, 1e6), st.sampled_from(ORIGINS),
)  # fmt: skip


@given(energies, energies)
def test_a_sum_is_as_wide_as_its_parts_together(a: Energy, b: Energy) -> None:
    both = a + b
    assert both.high - both.low == pytest.approx((a.high - a.low) + (b.high - b.low), abs=1e-3)
    assert both.origin == (a.origin if a.origin == b.origin else "mixed")
    assert both == b + a


def test_measured_and_estimated_is_mixed() -> None:
    assert (Energy(1, 1, 1, "measured") + Energy(1, 0, 2, "estimated")).origin == "mixed"


@given(energies)
def test_round_trip(energy: Energy) -> None:
    assert Energy.from_dict(energy.to_dict()) == energy


def test_the_total_of_nothing_is_unknown_not_zero() -> None:
    assert total([]) is None


def test_an_interval_that_misses_its_value_is_refused() -> None:
    with pytest.raises(ValueError, match="interval holds its value"):
        Energy(1, 2, 3, "measured")
    with pytest.raises(ValueError, match="origin is one of"):
        Energy(1, 1, 1, "guessed")  # type: ignore[arg-type]


def test_a_reading_without_sensors_has_no_energy() -> None:
    data = Reading(None, None, {}, 1.0, 0.5).to_dict()
    assert data["schema"] == "trimwatt/reading/1"
    assert data["energy"] is None and data["domains"] == {}
