from __future__ import annotations

import json

import numpy as np
import pytest
from simulated_host import Host, SimulatedArm

from trimwatt.compare.finals import finals
from trimwatt.compare.plan import Plan
from trimwatt.errors import InputError

PLAN = Plan(cores=frozenset({0, 1}))


def _arms(seed: int, *costs: float) -> list[SimulatedArm]:
    host = Host(seed)
    return [SimulatedArm(host, cost * 1e-4, f"arm {i}") for i, cost in enumerate(costs)]


def test_the_cheapest_wins_and_its_equal_is_tied() -> None:
    found = [finals(_arms(seed, 1.0, 0.5, 0.5, 0.6), np.random.default_rng(seed), PLAN) for seed in range(40)]
    assert all(f.cheapest in (1, 2) for f in found)
    # an arm is wrongly cast off only as often as an A/A comparison misses
    assert np.mean([{1, 2} <= set(f.tied) for f in found]) >= 0.9
    assert not any({0, 3} & set(f.tied) for f in found)
    assert all(f.rounds >= 20 for f in found)


def test_ratios_to_the_baseline_come_from_the_same_rounds() -> None:
    found = finals(_arms(0, 1.0, 0.5, 0.25), np.random.default_rng(0), PLAN)
    assert [c.b.name for c in found.to_baseline] == ["arm 0", "arm 0"]
    assert all(c.low <= truth <= c.high for c, truth in zip(found.to_baseline, (0.5, 0.25), strict=True))
    assert set(found.pairs) == {(0, 1), (0, 2), (1, 2)}
    assert {c.pairs for c in found.pairs.values()} == {found.rounds}
    assert found.pairs[1, 2].ratio == pytest.approx(2, rel=0.05)


def test_beside_many_others_only_what_holm_lets_stand_is_claimed() -> None:
    withheld = 0
    for seed in range(12):
        host = Host(seed, episodes=False, spikes=0, sigma=0.06)
        arms = [SimulatedArm(host, c * 1e-4, str(c)) for c in (1.0, 1.02, 1.04, 1.05, 1.06)]
        pairs = finals(arms, np.random.default_rng(seed), PLAN).pairs.values()
        assert all((c.holm or 0) <= 0.02 for c in pairs if c.verdict in ("less", "more"))
        alone = [c for c in pairs if abs(np.log(c.ratio)) > 0.021 and (c.high < 1 or c.low > 1)]
        withheld += sum(c.verdict == "inconclusive" for c in alone)
    # else nothing was tried
    assert withheld > 5


def test_it_stops_once_settled() -> None:
    host = Host(0, episodes=False, spikes=0, sigma=0.003)
    arms = [SimulatedArm(host, c * 1e-4, str(c)) for c in (1.0, 0.5, 0.2)]
    found = finals(arms, np.random.default_rng(0), PLAN)
    assert (found.rounds, found.cheapest, found.tied) == (20, 2, (2,))
    noisy = Host(0, episodes=False, spikes=0, sigma=0.4)
    arms = [SimulatedArm(noisy, 1e-4, str(c)) for c in range(3)]
    assert finals(arms, np.random.default_rng(0), PLAN).rounds == 40


def test_the_record_is_json() -> None:
    record = json.loads(json.dumps(finals(_arms(0, 1.0, 0.5), np.random.default_rng(0), PLAN).to_dict()))
    first = {name: record["arms"][0][name] for name in ("name", "ratio_to_first", "tied_with_cheapest")}
    assert first == {"name": "arm 0", "ratio_to_first": None, "tied_with_cheapest": False}
    assert record["pairs"][0]["schema"] == "trimwatt/comparison/1"
    # every raw block is kept, and once
    assert len(record["arms"][1]["blocks"]) == record["rounds"]
    assert "blocks" not in record["pairs"][0]["a"]


def test_one_arm_is_no_final() -> None:
    with pytest.raises(InputError, match="at least one other"):
        finals(_arms(0, 1.0), np.random.default_rng(0), PLAN)
