"""Several runs as one reading, and commands where signals cannot be held back."""

from __future__ import annotations

import math
import signal
import statistics
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.carbon import intensity
from trimwatt.energy import Energy, Reading
from trimwatt.meter import _elsewhere, launch
from trimwatt.meter.runs import spread, together

VALUES = st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=40)


def _reading(joules: float, peak: int | None = None, *warnings: str) -> Reading:
    energy = Energy(joules, joules * 0.5, joules * 2, "estimated")
    return Reading(energy, energy, {"cpu": energy}, joules, joules / 2, peak, 0.0, warnings)


@given(VALUES)
def test_the_interval_holds_the_median_and_lies_within_the_values(values: list[float]) -> None:
    found = spread(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)
    assert found.median == statistics.median(values)
    assert found.level >= 0.95 or len(values) < 6


@pytest.mark.parametrize(
    ("n", "level", "rank"), [(1, 0, 0), (2, 0.5, 0), (5, 0.9375, 0), (6, 0.96875, 0), (9, 0.9609, 1), (20, 0.9586, 5)]
)
def test_the_level_is_the_binomial_one(n: int, level: float, rank: int) -> None:
    found = spread([float(i) for i in range(n)])
    assert found.level == pytest.approx(level, abs=1e-4)
    assert (found.low, found.high) == (rank, n - 1 - rank)


def test_a_models_doubt_does_not_shrink_with_runs() -> None:
    many = together([_reading(10.0) for _ in range(50)]).process
    assert many is not None and (many.joules, many.low, many.high) == (10.0, 5.0, 20.0)


@given(VALUES)
def test_together_is_typical_and_its_interval_is_no_narrower_than_one_readings(values: list[float]) -> None:
    found = together([_reading(value, int(value), "same") for value in values])
    assert found.process is not None
    assert found.process.joules == statistics.median(values)
    assert found.process.high / found.process.joules >= 2 * (1 - 1e-9)
    assert found.process.low / found.process.joules <= 0.5 * (1 + 1e-9)
    assert found.warnings == ("same",) and found.peak_rss_bytes == max(map(int, values))


def test_a_run_whose_energy_is_not_known_makes_that_of_all_unknown() -> None:
    unknown = Reading(None, None, {}, 1.0, 1.0)
    assert together([_reading(1.0), unknown]).process is None


def test_where_the_grid_is_unknown_there_is_a_range_and_no_number() -> None:
    found = intensity.grams(Energy(3.6e6, 3.6e6, 3.6e6, "measured"))
    assert found["grams_co2e"] is None
    assert (found["low"], found["high"]) == pytest.approx((intensity.WORLD.low, intensity.WORLD.high))
    assert intensity.grams(None)["low"] is None
    known = intensity.Intensity("FR", 44.0, 40.0, 50.0, "2024", "a source", "a licence")
    assert intensity.grams(Energy(3.6e6, 3.6e6, 3.6e6, "measured"), known)["grams_co2e"] == pytest.approx(44.0)


SPIN = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"


def test_elsewhere_a_command_runs_with_its_own_exit_code() -> None:
    launched = _elsewhere.start([sys.executable, "-S", "-c", SPIN + "raise SystemExit(5)"])
    assert _elsewhere.wait(launched) == 5
    assert 0.2 <= launched.cpu_s() < 0.5 and not math.isnan(launched.cpu_s())
    with pytest.raises(launch.NotStarted, match="there is no such command"):
        _elsewhere.start(["no-such-command"])


def test_elsewhere_a_request_to_end_is_passed_on() -> None:
    launched = _elsewhere.start(["sleep", "30"])
    began = time.monotonic()
    threading.Timer(0.3, signal.raise_signal, [signal.SIGTERM]).start()
    assert _elsewhere.wait(launched) == 128 + signal.SIGTERM
    assert launched.stopped_by == signal.SIGTERM and time.monotonic() - began < 20
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
