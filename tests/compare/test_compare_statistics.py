from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimwatt.compare.statistics import Interval, bootstrap_counts, clopper_pearson, mean_interval, percentiles, yuen

samples = st.lists(st.floats(-5, 5), min_size=5, max_size=60)


def test_yuen_agrees_with_arithmetic_by_hand() -> None:
    x = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 100])
    found = yuen(x, level=0.95)
    # 3..8 are kept; winsorised: 3 3 3 4 5 6 7 8 8 8, squares about 5.5 sum to 42.5; t(5, 0.975) = 2.570582
    assert found.value == pytest.approx(5.5)
    assert found.half_width == pytest.approx(2.570582 * (42.5 / (6 * 5)) ** 0.5, rel=1e-6)


def test_untrimmed_it_is_student() -> None:
    from scipy import stats

    x = np.random.default_rng(0).normal(size=12)
    low, high = stats.t.interval(0.98, 11, x.mean(), stats.sem(x))
    found = yuen(x, 0.98, trim=0.0)
    assert (found.low, found.high) == pytest.approx((low, high))


@given(samples, st.floats(-3, 3), st.floats(0.1, 10))
def test_yuen_follows_shift_and_scale(values: list[float], shift: float, scale: float) -> None:
    plain, moved = yuen(np.array(values)), yuen(np.array(values) * scale + shift)
    assert moved.value == pytest.approx(plain.value * scale + shift, abs=1e-7)
    assert moved.half_width == pytest.approx(plain.half_width * scale, abs=1e-7)


@given(samples)
def test_ratio_of_b_to_a_is_the_inverse(values: list[float]) -> None:
    one, other = yuen(np.array(values)).exp(), yuen(-np.array(values)).exp()
    assert one.value * other.value == pytest.approx(1)
    assert one.low * other.high == pytest.approx(1)


@given(samples)
def test_more_confidence_is_wider(values: list[float]) -> None:
    x = np.array(values)
    assert yuen(x, 0.998).half_width >= yuen(x, 0.98).half_width >= yuen(x, 0.9).half_width >= 0


def test_one_wild_value_moves_nothing() -> None:
    x = np.random.default_rng(1).normal(size=20)
    wild = np.where(x == x.max(), 1e6, x)
    assert yuen(wild) == yuen(x)


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        yuen(np.array([1.0]))


def _covers(draw: object, truth: float, runs: int, n: int, level: float) -> float:
    hits = 0
    for seed in range(runs):
        found = yuen(draw(np.random.default_rng(seed), n), level)  # type: ignore[operator]
        hits += found.low <= truth <= found.high
    return hits / runs


def _plain(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(0, 0.05, n)


def _spiked(rng: np.random.Generator, n: int) -> np.ndarray:
    # each arm of a pair spikes by itself, so that the log-ratio stays symmetric
    spikes = np.log(1.5) * (rng.random((2, n)) < 0.1)
    return rng.normal(0, 0.05, n) + spikes[0] - spikes[1]


def _autocorrelated(rng: np.random.Generator, n: int) -> np.ndarray:
    # blocks drift together: what is left in the difference of a pair is weakly correlated
    e = rng.normal(0, 0.05, n + 1)
    return e[1:] + 0.15 * e[:-1]


@pytest.mark.parametrize("draw", [_plain, _spiked, _autocorrelated])
def test_nominal_98_covers_at_least_95(draw: object) -> None:
    assert _covers(draw, 0.0, 600, 20, 0.98) >= 0.95


def test_coverage_is_near_nominal_and_not_bought_by_width() -> None:
    assert _covers(_plain, 0.0, 1000, 20, 0.9) == pytest.approx(0.9, abs=0.03)


def test_clopper_pearson_known_values() -> None:
    assert clopper_pearson(4, 60) == pytest.approx((0.01847, 0.16204), abs=2e-4)
    assert clopper_pearson(0, 50)[1] == pytest.approx(1 - 0.025 ** (1 / 50))
    assert clopper_pearson(50, 50) == pytest.approx((0.025 ** (1 / 50), 1.0))
    with pytest.raises(ValueError, match="0 to n"):
        clopper_pearson(3, 2)


@settings(max_examples=30)
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson_holds_the_share(case: tuple[int, int]) -> None:
    hits, n = case
    low, high = clopper_pearson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1


def test_bootstrap() -> None:
    rng = np.random.default_rng(0)
    counts = bootstrap_counts(30, 50, rng)
    assert counts.shape == (50, 30)
    assert (counts.sum(axis=1) == 30).all()
    found = mean_interval(rng.normal(3, 1, 400), rng)
    assert found.low < 3 < found.high
    assert found.half_width == pytest.approx(1.96 / 20, rel=0.2)
    assert np.isnan(percentiles(np.array([np.nan]))).all()


def test_hull_keeps_the_value() -> None:
    assert Interval(1, 0.5, 2).hull(Interval(3, 0.7, 4)) == Interval(1, 0.5, 4)
