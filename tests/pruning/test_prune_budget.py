"""The solver of widths: as good as trying everything, prunes what costs, keeps the budget, says what cannot be."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pruning_samples import chain, drawn, on_images, pictures
from torch import nn

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.torch.groups import groups
from trimwatt.framework.torch.run import example
from trimwatt.recipe import to_json
from trimwatt.technique import from_json
from trimwatt.technique._base import Technique, apply
from trimwatt.technique.prune import _knapsack, _ties
from trimwatt.technique.prune._knapsack import Option
from trimwatt.technique.prune.budget import PruneBudget, chosen
from trimwatt.technique.prune.costs import LayerCosts, Row, tables
from trimwatt.technique.prune.sensitivity import layer_sensitivity
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Array, Workload

prices = st.floats(0, 10, allow_nan=False)
menus = st.lists(st.lists(st.tuples(prices, prices), min_size=1, max_size=4), min_size=1, max_size=5)


def costs(weights: Mapping[str, float], quarters: Mapping[str, tuple[list[int], list[int]]]) -> tuple[Row, ...]:
    """Rows of layers whose seconds are `weights` times the product of their widths."""
    return tuple(
        (layer, i, o, weights[layer] * i * o) for layer, (ins, outs) in quarters.items() for i in ins for o in outs
    )


# chain(): 0 (1 -> 8), 2 (8 -> 12), 5 (192 -> 16), 7 (16 -> 10)
GRID = {
    "0": ([1], [2, 4, 8]), "2": ([2, 4, 8], [3, 6, 12]), "5": ([48, 96, 192], [4, 8, 16]), "7": ([4, 8, 16], [10]),
}  # fmt: skip
EVEN = dict.fromkeys(GRID, 1e-6)


@given(menus, st.floats(0, 30))
def test_the_knapsack_is_as_good_as_trying_everything(menu: list[list[tuple[float, float]]], budget: float) -> None:
    choices = [[Option(k, *pair) for k, pair in enumerate(options)] for options in menu]
    every = [picks for picks in itertools.product(*choices) if sum(o.cost for o in picks) <= budget]
    found = _knapsack.best(choices, budget)
    if not every:
        assert found is None or sum(o.cost for o in found) <= budget * (1 + 1e-9)
        return
    assert found is not None
    assert sum(o.cost for o in found) <= budget * (1 + 1e-9) + 1e-12
    assert sum(o.worth for o in found) >= max(sum(o.worth for o in picks) for picks in every) - 1e-9


def test_merging_states_keeps_the_budget_and_nearly_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    choices = [[Option(k, *rng.random(2)) for k in range(5)] for _ in range(14)]
    exact = _knapsack.best(choices, 6.0)
    monkeypatch.setattr(_knapsack, "STATES", 200)
    rough = _knapsack.best(choices, 6.0)
    assert exact is not None and rough is not None
    assert sum(o.cost for o in rough) <= 6.0
    assert sum(o.worth for o in rough) >= 0.98 * sum(o.worth for o in exact)


@settings(max_examples=40)
@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), st.floats(0.3, 0.95), st.integers(0, 99))
def test_layers_between_two_groups_keep_the_true_budget(scale: list[float], share: float, seed: int) -> None:
    worth = np.random.default_rng(seed).random((2, 3)).cumsum(axis=1)

    def total(left: Mapping[str, int]) -> float:
        a, b = left.get("a", 4), left.get("b", 4)
        return scale[0] * a + scale[1] * a * b / 4 + scale[2] * b

    def cost(name: str, width: int) -> float:
        return scale[0] * width + scale[1] * width if name == "a" else scale[2] * width + scale[1] * width

    choices = {
        name: [Option(w, cost(name, w), float(worth[k, j])) for j, w in enumerate((1, 2, 4))]
        for k, name in enumerate("ab")
    }
    budget = share * total({})
    found = _knapsack.widths(choices, total, budget)
    every = {
        (a.width, b.width): a.worth + b.worth
        for a in choices["a"] for b in choices["b"] if total({"a": a.width, "b": b.width}) <= budget
    }  # fmt: skip
    if found is None:
        assert not every
        return
    assert total(found) <= budget * (1 + 1e-6)
    # nothing that could still be widened was left narrow
    for name, options in choices.items():
        for option in options:
            if option.width > found[name]:
                assert total({**found, name: option.width}) > budget


def test_a_chain_of_layers_is_given_nearly_the_best_widths_there_are() -> None:
    reached = []
    for seed in range(40):
        rng, sizes = np.random.default_rng(seed), (2, 4, 6, 8)
        price, gain = rng.uniform(0.2, 5, 6), np.sort(rng.random((5, 4)), axis=1).cumsum(axis=1)

        def total(left: Mapping[str, int], price: Array = price) -> float:
            width = [1.0, *(left.get(str(k), 8) / 8 for k in range(5)), 1.0]
            return sum(float(price[k]) * width[k] * width[k + 1] for k in range(6))

        def worth(left: Mapping[str, int], gain: Array = gain) -> float:
            return sum(float(gain[int(name)][width // 2 - 1]) for name, width in left.items())

        choices = {
            str(k): [Option(w, float(price[k] + price[k + 1]) * w / 8, worth({str(k): w})) for w in sizes]
            for k in range(5)
        }
        budget = 0.55 * total({})
        every = [dict(zip(choices, picks, strict=True)) for picks in itertools.product(sizes, repeat=5)]
        found = _knapsack.widths(choices, total, budget)
        assert found is not None and total(found) <= budget * (1 + 1e-9)
        reached.append(worth(found) / max(worth(left) for left in every if total(left) <= budget))
    assert min(reached) > 0.9 and np.mean(reached) > 0.985


def ties(workload: Workload, rows: tuple[Row, ...]) -> _ties.Ties:
    return _ties.Ties.of(groups(workload.model, example(workload), "inner"), tables(rows), 0.0, workload)


def test_layers_tied_together_cost_together() -> None:
    workload = on_images(drawn(chain()))
    tied = ties(workload, costs(EVEN, GRID))
    assert tied.total({}) == pytest.approx(1e-6 * (8 + 96 + 192 * 16 + 160))
    assert tied.cost("2", 6) == pytest.approx(1e-6 * (8 * 6 + 96 * 16))
    assert tied.total({"2": 6, "5": 4}) == pytest.approx(1e-6 * (8 + 48 + 96 * 4 + 40))
    assert [tied.measured(group) for group in groups(workload.model, example(workload), "inner")] == [
        [2, 4, 8], [3, 6, 12], [4, 8, 16],
    ]  # fmt: skip


@pytest.mark.parametrize("dear", ["0", "7"])
def test_the_layer_that_costs_nearly_all_is_the_one_pruned(dear: str) -> None:
    rows = costs({**dict.fromkeys(GRID, 1e-12), dear: 1e-3}, GRID)
    after = apply(PruneBudget(0.6, rows, importance="taylor"), on_images(drawn(chain())))
    pruned = {"0": after.model[0].out_channels, "2": after.model[2].out_channels, "5": after.model[5].out_features}
    group, width = {"0": ("0", 4), "7": ("5", 8)}[dear]
    assert pruned == {"0": 8, "2": 12, "5": 16, group: width}


def test_channels_that_cost_alike_go_where_they_matter_least() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
    drawn(model)
    with torch.no_grad():
        model[5].weight[:, 8:] = 0  # half of the second layer's units are not listened to
    grid = {"1": ([64], [8, 16]), "5": ([8, 16], [10])}
    rows = costs({"1": 1 / 64, "5": 1 / 10}, grid)
    after = apply(PruneBudget(0.76, rows, recalibrate=False), on_images(model))
    assert [after.model[k].out_features for k in (1, 3)] == [16, 8]
    x = torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(after.model(x), model(x))


@pytest.mark.parametrize("importance", ["taylor", "sensitivity"])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_the_budget_is_kept_and_used(importance: str, share: float) -> None:
    workload, rows = pictures(), costs(EVEN, GRID)
    technique = PruneBudget(share, rows, 1e-5, importance)
    from trimwatt.framework.torch.importance import scores

    kept = chosen(technique, workload, scores(workload, "inner", "taylor"))
    tied = replace(ties(workload, rows), rest_s=1e-5)
    assert share * 0.5 < tied.total(kept) / tied.total({}) <= share


def test_losses_measured_before_give_what_measuring_now_gives() -> None:
    workload, rows = pictures(), costs(EVEN, GRID)
    seen = layer_sensitivity(workload, shares=(0.5, 0.75))
    before = PruneBudget(0.5, rows, losses=tuple(row[:3] for row in seen.rows))
    one, other = (apply(technique, workload).model for technique in (before, PruneBudget(0.5, rows)))
    assert [p.shape for p in one.parameters()] == [p.shape for p in other.parameters()]
    torch.testing.assert_close(dict(one.named_parameters()), dict(other.named_parameters()))
    flat = tuple((layer, kept, float(layer == "2" and kept < 12)) for layer, kept, _, _ in seen.rows)
    assert apply(PruneBudget(0.7, rows, losses=flat), workload).model[2].out_channels == 12


def test_costs_turn_to_json_and_back() -> None:
    told = LayerCosts(costs(EVEN, GRID), 1e-5, 1, 1, "int8")
    assert LayerCosts.from_dict(json.loads(json.dumps(told.to_dict()))) == told
    step = PruneBudget(0.5, told.rows, told.rest_s)
    assert from_json(json.loads(json.dumps(to_json((step,))))) == (step,)


def test_what_cannot_be_done_is_said() -> None:
    workload, rows = on_images(drawn(chain())), costs(EVEN, GRID)
    for technique, said in (
        (PruneBudget(0.5), "has no costs; measure them"),
        (PruneBudget(0.01, rows, 1.0), r"at the cheapest measured widths 1\.00 of the time is left"),
        (PruneBudget(0.5, (("2", 8, 13, 1.0),)), r"another network: layer 2 has widths \(8, 12\), costs say 8 x 13"),
        (PruneBudget(0.5, (("ghost", 8, 12, 1.0),)), "another network: layer ghost"),
        (PruneBudget(0.5, (("0", 1, 8, 1.0),)), "costs were measured for none"),
    ):
        with pytest.raises(TrialFailed, match=said):
            apply(technique, workload)
    for share, bad, said in (
        (50, rows, r"did you mean 0\.5\?"),
        (0.5, (("0", 1, 8, -1.0),), "costs give layer 0 -1.0 seconds"),
        (0.5, (("0", 1, 8, 1.0), ("0", 2, 4, 1.0)), "are no grid: 2 of 2 x 2"),
    ):
        with pytest.raises(InputError, match=said):
            PruneBudget(share, bad)
    with pytest.raises(InputError, match="losses give layer 0 a loss of nan"):
        PruneBudget(0.5, rows, losses=(("0", 8, float("nan")),))
    with pytest.raises(InputError, match="importance is sensitivity or taylor or hessian, got 'l1'"):
        PruneBudget(importance="l1")


def test_a_network_that_answers_nonsense_fails_the_trial() -> None:
    model = drawn(chain())
    with torch.no_grad():
        model[0].weight[0] = float("nan")
    for importance in ("taylor", "sensitivity"):
        with pytest.raises(TrialFailed, match="the loss on training rows is nan"):
            apply(PruneBudget(0.5, costs(EVEN, GRID), importance=importance), on_images(model))
    with pytest.raises(TrialFailed, match="the loss on held-out rows is nan"):
        layer_sensitivity(on_images(model), importance="l1")


def test_a_layer_nobody_listens_to_is_insensitive() -> None:
    workload = pictures()
    model = nn.Sequential(*workload.model)
    found = layer_sensitivity(replace(workload, model=model), shares=(0.5,))
    assert [row[:2] for row in found.rows] == [("0", 4), ("0", 8), ("2", 6), ("2", 12), ("5", 8), ("5", 16)]
    assert all(row[2] > found.loss for row in found.rows[::2])
    assert all(row[2:] == (found.loss, found.quality) for row in found.rows[1::2])
    assert found.worst()[0] == max(found.rows, key=lambda row: row[2])[0]
    spare = drawn(chain())
    with torch.no_grad():
        spare[7].weight[:, :8] = 0
    dead = layer_sensitivity(on_images(spare), shares=(0.5,))
    assert {layer: loss for layer, kept, loss, _ in dead.rows if kept == 8}["5"] == pytest.approx(dead.loss, abs=1e-6)
    with pytest.raises(InputError, match=r"shares are in \(0, 1\), got 1"):
        layer_sensitivity(workload, shares=(1.0,))


class TestPruneBudget(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return PruneBudget(0.5, costs(EVEN, GRID))

    @pytest.fixture
    def workload(self) -> Workload:
        return on_images(drawn(chain()))
