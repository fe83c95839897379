"""The price of a point: exact on exact points, silent on gains that may be none."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.compare import price
from trimwatt.compare.price import Point, ladder
from trimwatt.errors import InputError


def point(name: str, cost: float, quality: float, doubt: float = 0.0, wide: float = 0.0) -> Point:
    return Point(name, cost, cost / (1 + wide), cost * (1 + wide), quality, quality - doubt, quality + doubt)


CURVE = [("xs", 1.0, 0.70), ("s", 2.0, 0.80), ("m", 4.0, 0.90), ("l", 16.0, 0.92), ("xl", 64.0, 0.93)]


def test_without_doubt_a_price_is_cost_over_gain() -> None:
    found = ladder([point(*p) for p in CURVE])
    assert found.worth == ("xs", "s", "m", "l", "xl")
    assert [r.price for r in found.rungs] == pytest.approx([0.1, 0.2, 6.0, 48.0])
    assert all(r.low == pytest.approx(r.price) and r.high == pytest.approx(r.price) for r in found.rungs)
    assert (found.knee, found.knee_share) == ("m", 1.0)


def test_dicts_and_any_order_give_the_same() -> None:
    dicts = [{"name": n, "cost": c, "quality": q} for n, c, q in reversed(CURVE)]
    assert ladder(dicts) == ladder([point(*p) for p in CURVE])


def test_an_error_is_better_when_smaller() -> None:
    found = ladder([point("a", 1, 0.5), point("b", 3, 0.4), point("c", 4, 0.45)], greater_is_better=False, point=0.1)
    assert [(r.name, r.worth) for r in found.rungs] == [("b", "yes"), ("c", "not worth it")]
    assert found.rungs[0].price == pytest.approx(2.0)


def test_a_gain_that_may_be_none_is_not_worth_it_and_has_no_price() -> None:
    found = ladder([point("a", 1, 0.900, 0.01), point("b", 2, 0.905, 0.01), point("c", 5, 0.95, 0.01)])
    b, c = found.rungs
    assert (b.worth, b.price, b.high) == ("not worth it", None, None)
    assert b.gain_low < 0 < b.gain_high
    assert (c.worth, c.over) == ("yes", "a"), "a step is held against the last one worth it"
    assert c.price is not None and c.low is not None and c.high is not None
    assert c.price == pytest.approx(4 / 5)
    assert c.low < c.price < c.high
    assert "not worth it: b" in price.sentence(found)


def test_nothing_worth_it_is_said() -> None:
    found = ladder([point("a", 1, 0.9, 0.01), point("b", 2, 0.9, 0.01), point("c", 3, 0.89, 0.01)])
    assert (found.worth, found.knee) == (("a",), None)
    assert price.sentence(found).startswith("nothing above a is worth it")


def test_a_price_interval_covers_the_truth() -> None:
    rng, hits = np.random.default_rng(0), 0
    for k in range(200):
        costs = np.array([1.0, 3.0]) * np.exp(0.05 * rng.standard_normal(2))
        qualities = np.array([0.8, 0.9]) + 0.01 * rng.standard_normal(2)
        wide = [float(np.expm1(1.96 * 0.05))] * 2
        found = ladder(
            [point(n, float(c), float(q), 0.0196, w) for n, c, q, w in zip("ab", costs, qualities, wide, strict=True)],
            seed=k,
        )
        rung = found.rungs[0]
        assert rung.low is not None and rung.high is not None
        hits += rung.low <= 0.2 <= rung.high
    assert hits >= 182


def test_a_common_doubt_widens_the_price_and_not_the_gain() -> None:
    plain, doubted = (ladder([point(*p) for p in CURVE], scale=s) for s in ((1.0, 1.0), (0.5, 2.0)))
    for a, b in zip(plain.rungs, doubted.rungs, strict=True):
        assert (b.gain_low, b.gain_high) == (a.gain_low, a.gain_high)
        assert (b.low, b.high) == (pytest.approx(0.5 * a.price), pytest.approx(2 * a.price))  # type: ignore[operator]


def test_a_step_that_skipping_would_make_cheaper_is_off_the_hull() -> None:
    found = ladder([point("a", 1, 0.5), point("b", 5, 0.52), point("c", 6, 0.9)])
    assert [(r.name, r.worth, r.on_hull) for r in found.rungs] == [("b", "yes", False), ("c", "yes", True)]
    assert found.knee is None


@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 1)), min_size=2, max_size=8))
def test_what_is_worth_it_rises_in_cost_and_quality(raw: list[tuple[float, float]]) -> None:
    found = ladder([point(f"p{i}", c, q) for i, (c, q) in enumerate(raw)])
    by_name = {f"p{i}": pair for i, pair in enumerate(raw)}
    steps = [by_name[name] for name in found.worth]
    assert all(a[0] <= b[0] and a[1] < b[1] for a, b in pairwise(steps))
    assert max(q for _, q in raw) == steps[-1][1]
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_gain_next_to_nothing_has_no_price() -> None:
    found = ladder([point("a", 1, 0.0), point("b", 2, 2.2e-309)])
    assert found.rungs[0].worth == "yes" and found.rungs[0].price is None
    assert "more than can be told" in price.sentence(found)


def test_a_knee_no_draw_agrees_on_says_so() -> None:
    sure = ladder([point(*p, doubt=0.002, wide=0.02) for p in CURVE])
    unsure = ladder([point(n, c, q, doubt=0.03, wide=0.5) for n, c, q in [("a", 1, 0.6), ("b", 3, 0.72), ("c", 5, 0.8),
                                                                         ("d", 9, 0.9)]])  # fmt: skip
    assert sure.knee_share is not None and sure.knee_share > 0.95
    assert unsure.knee_share is None or unsure.knee_share < 0.8


@pytest.mark.parametrize(
    "points",
    [[], [point("a", 1, 0.5)], [{"name": "a", "cost": 0, "quality": 1}] * 2, [{"cost": 1, "quality": 1}] * 2,
     [{"name": "a", "cost": "x", "quality": 1}] * 2, [{"name": "a", "cost": 1, "low": 2, "quality": 1}] * 2],
)  # fmt: skip
def test_what_is_no_family_is_refused(points: list[object]) -> None:
    with pytest.raises(InputError):
        ladder(points)  # type: ignore[arg-type]


def _trial(name: str, family: str, ratio: float | None, value: float) -> dict[str, object]:
    pair = ratio and {"value": ratio, "low": ratio * 0.99, "high": ratio * 1.01}
    return {
        "id": name, "name": name, "family": family, "status": "done", "ratio_to_baseline": pair,
        "energy_per_prediction": {"joules": 2.0 * (ratio or 1), "low": 0.1, "high": 9, "origin": "estimated"},
        "quality": {"value": value, "low": value - 0.002, "high": value + 0.002, "greater_is_better": True},
    }  # fmt: skip


def test_a_study_is_priced_by_family() -> None:
    base = _trial("base", "forest", None, 0.9)
    base["energy_per_prediction"] = {"joules": 2.0, "low": 1.0, "high": 4.0, "origin": "estimated"}
    trials = [base, _trial("small", "forest", 0.5, 0.85), _trial("cnn", "cnn", 0.1, 0.95), {"status": "failed"}]
    found = price.from_study({"baseline": "base", "trials": trials})
    assert list(found) == ["forest"]
    rung = found["forest"].rungs[0]
    assert (rung.name, rung.worth) == ("base", "yes")
    assert rung.price == pytest.approx(1.0 / 5)
    assert rung.low is not None and rung.high is not None
    assert rung.low < 0.11 and rung.high > 0.38
    assert price.from_study({"trials": []}) == {}


def test_a_cost_that_cannot_be_told_from_zero_is_no_price_in_words() -> None:
    found = ladder([point("a", 1.0, 0.8, wide=0.1), point("b", 1.01, 0.9, wide=0.1)])
    low = found.rungs[0].low
    assert low is not None and low < 0
    assert price.sentence(found) == "a is the cheapest; b adds 10 points at no cost that can be told from zero"
    dear = price.sentence(ladder([point("a", 1, 0.8), point("b", 2, 0.9)]))
    assert dear == "a is the cheapest; b adds 10 points at 100 mJ [100 mJ to 100 mJ] a point"
