"""Many candidates: what is dominated, what holds beside other claims, how sure a rank is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_host import Host, SimulatedArm

from trimwatt import metric
from trimwatt.compare import many
from trimwatt.compare.finals import finals
from trimwatt.compare.plan import Plan

P = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_holm_by_hand() -> None:
    assert many.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert many.holm([0.5, 0.9]) == [1.0, 1.0]
    assert many.holm([]) == []


@given(P)
def test_holm_lies_between_one_claim_and_bonferroni(p: list[float]) -> None:
    adjusted = many.holm(p)
    assert all(mine <= a <= min(1.0, mine * len(p)) + 1e-12 for mine, a in zip(p, adjusted, strict=True))
    # the order of claims is kept
    assert [adjusted[i] for i in np.argsort(p)] == sorted(adjusted)


def test_only_what_is_surely_beaten_is_dominated() -> None:
    rng = _rng()
    noise = rng.normal(0, 0.02, (30, 4))
    # cheap and good; dear and worse; dear and equal within noise; cheapest and bad
    logs = np.log([1.0, 2.0, 1.0, 0.5]) + noise
    cost = many.cost_draws(logs, rng)
    quality = np.array([0.9, 0.8, 0.9, 0.5]) + rng.normal(0, 0.01, (many.DRAWS, 4))
    assert many.dominated(cost, quality) == {1}
    assert many.dominated(cost, -quality, greater_is_better=False) == {1}
    shares = many.dominated_share(cost, quality)
    assert 0.05 < shares[2] < 0.95
    assert shares[3] == 0


def test_energy_and_quality_fall_together_in_a_draw() -> None:
    truth = np.array([0, 1] * 50)
    worse = truth.copy()
    worse[:2] = 1 - worse[:2]
    accuracy = metric.get("accuracy")
    quality = many.quality_draws(accuracy, truth, [truth, worse], _rng(), 400)
    # on the same rows the worse one never beats the better one, however the rows fall
    assert (quality[:, 0] >= quality[:, 1]).all()
    cost = many.cost_draws_from_intervals([(1, 1, 1), (1.5, 1.4, 1.6)], _rng(), 400)
    assert many.dominated(cost, quality) == {1}


def test_intervals_give_back_what_they_hold() -> None:
    draws = np.exp(many.cost_draws_from_intervals([(1, 1, 1), (0.5, 0.4, 0.625)], _rng(), 20000))
    assert (draws[:, 0] == 1).all()
    assert np.mean((draws[:, 1] > 0.4) & (draws[:, 1] < 0.625)) == pytest.approx(0.95, abs=0.01)


def test_ranks_are_sure_of_what_is_far_apart_only() -> None:
    rng = _rng()
    logs = np.log([1.0, 1.0, 3.0, 0.2]) + rng.normal(0, 0.05, (25, 4))
    ranks = many.rank_intervals(many.cost_draws(logs, rng))
    assert (ranks[3].value, ranks[3].low, ranks[3].high) == (1, 1, 1)
    assert (ranks[2].low, ranks[2].high) == (4, 4)
    assert {(r.low, r.high) for r in ranks[:2]} == {(2, 3)}


def test_candidates_screened_apart_are_drawn_apart() -> None:
    cost = many.cost_draws([np.zeros(20), np.full(9, 0.3)], _rng(), 100)
    assert cost.shape == (100, 2)
    np.testing.assert_allclose(cost, [[0.0, 0.3]] * 100)


def test_many_equal_arms_are_seldom_told_apart() -> None:
    plan, false = Plan(cores=frozenset({0, 1})), 0
    for seed in range(60):
        host = Host(seed)
        found = finals([SimulatedArm(host, name=str(i)) for i in range(5)], np.random.default_rng(seed), plan)
        false += any(c.verdict in ("less", "more") for c in found.pairs.values())
        assert all(c.holm is not None and c.p is not None and c.holm >= c.p for c in found.pairs.values())
    # ten pairs each: without Holm about one family in six has a false claim
    assert false <= 4


def test_ranks_of_answers_out_of_fold_are_compared_within_the_folds() -> None:
    """Scores that are shifted from fold to fold rank the rows of each fold as before, and all together worse."""
    rng = _rng()
    truth, fold = rng.integers(0, 2, 200), np.repeat(np.arange(5), 40)
    score = truth + rng.normal(size=200)
    both = [np.stack([-s, s], axis=1) for s in (score, score + 9.0 * fold)]
    auc = metric.get("auc", 1)
    draws = many.quality_draws(auc, truth, both, _rng(), 50, fold)
    assert np.array_equal(draws[:, 0], draws[:, 1])
    apart = many.quality_draws(auc, truth, both, _rng(), 50)
    assert (apart[:, 0] > apart[:, 1]).all()
