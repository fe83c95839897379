"""Sparse training: the steps are what their papers say, and what went to zero is removed without a trace."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.torch import gates, gates_concrete, gates_rewired, groups, macs, masks, parameters, scores
from trimwatt.framework.torch.run import example
from trimwatt.technique import apply
from trimwatt.technique._base import Technique
from trimwatt.technique.architecture import SmallCnn, SmallResNet, TorchMlp
from trimwatt.technique.sparse import L0, L1, GroupLasso, LassoFeatures, RigL
from trimwatt.technique.train import Train
from trimwatt.testing.samples import digits, incomes, people
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Workload

# few rows are few steps
ENOUGH: dict[str, Any] = {"epochs": 12, "batch": 32, "learning_rate": 1e-2}


@cache
def _dense() -> Workload:
    return apply(Train(**ENOUGH), apply(TorchMlp((32, 24)), digits()))


def dense() -> Workload:
    return replace(_dense(), model=copy.deepcopy(_dense().model))


def images() -> Workload:
    return apply(SmallCnn(8), digits("image", 300))


class TestL1(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return L1(epochs=2)

    @pytest.fixture
    def workload(self) -> Workload:
        return dense()


class TestRigL(TestL1):
    @pytest.fixture
    def technique(self) -> Technique:
        return RigL(epochs=2, every=3)


class TestFeatures(TestL1):
    @pytest.fixture
    def technique(self) -> Technique:
        return LassoFeatures(epochs=2)


class TestGroupLasso(TestL1):
    @pytest.fixture
    def technique(self) -> Technique:
        return GroupLasso(epochs=2)


class TestL0(TestL1):
    @pytest.fixture
    def technique(self) -> Technique:
        return L0(epochs=2)


def test_soft_thresholding_is_the_proximal_step() -> None:
    """No vector is better than the one it gives, and each of its steps is the closed form."""
    draw = torch.Generator().manual_seed(0)
    for threshold in (0.1, 1.0, 3.0):
        w = torch.randn(3, 5, generator=draw)
        v = w * gates.shrinkage(w.norm(dim=1), threshold)[:, None]

        def objective(it: torch.Tensor, w: torch.Tensor = w, threshold: float = threshold) -> float:
            return float((it - w).square().sum() / 2 + threshold * it.norm(dim=1).sum())

        for size in (1e-3, 1e-1, 1.0):
            for _ in range(50):
                assert objective(v) <= objective(v + size * torch.randn(3, 5, generator=draw)) + 1e-6
    torch.testing.assert_close(
        gates.shrinkage(torch.tensor([0.0, 0.5, 1.0, 4.0]), 1.0), torch.tensor([0.0, 0.0, 0.0, 0.75])
    )


@pytest.mark.parametrize("log_alpha", [-4.0, -1.0, 0.0, 0.7, 3.0])
def test_the_expected_number_of_open_gates_is_what_is_drawn(log_alpha: float) -> None:
    uniform = torch.rand(200_000, generator=torch.Generator().manual_seed(1)).clamp(1e-6, 1 - 1e-6)
    drawn = gates_concrete.sampled(torch.tensor(log_alpha), uniform)
    assert float((drawn > 0).float().mean()) == pytest.approx(
        float(gates_concrete.expected(torch.tensor(log_alpha))), abs=0.005
    )
    assert float(drawn.min()) >= 0 and float(drawn.max()) <= 1


def test_gates_shut_and_open_fully() -> None:
    settled = gates_concrete.settled(torch.tensor([-5.0, -2.5, 0.0, 2.5, 5.0]))
    assert settled.tolist() == pytest.approx([0, 0, 0.5, 1, 1])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(2, 40), st.integers(2, 40)), min_size=1, max_size=5), st.floats(0.02, 0.98))
def test_densities_of_layers_make_up_the_whole(shapes: list[tuple[int, int]], density: float) -> None:
    weights = {str(i): torch.zeros(shape) for i, shape in enumerate(shapes)}
    shares = gates_rewired.densities(weights, density)
    total = sum(w.numel() for w in weights.values())
    kept = sum(share * w.numel() for share, w in zip(shares, weights.values(), strict=True))
    assert all(0 <= share <= 1 for share in shares)
    assert kept == pytest.approx(density * total, rel=1e-6)


@settings(max_examples=40)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_an_exchange_keeps_the_number_drops_small_and_takes_wanted(seed: int, fraction: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    alive = torch.rand(6, 7, generator=draw) < 0.3
    weight, gradient = torch.randn(6, 7, generator=draw) * alive, torch.randn(6, 7, generator=draw)
    after = gates_rewired.exchanged(weight, gradient, alive, fraction)
    assert after.sum() == alive.sum()
    dropped, grown = alive & ~after, after & ~alive
    if dropped.any():
        assert weight.abs()[dropped].max() <= weight.abs()[alive & after].min() if (alive & after).any() else True
        assert gradient.abs()[grown].min() >= gradient.abs()[~alive & ~after].max() if (~alive & ~after).any() else True


def zeros(workload: Workload) -> float:
    weights = torch.cat([weight.flatten() for weight in masks.layers(workload.model).values()])
    return float((weights == 0).float().mean())


@pytest.mark.parametrize(
    "technique", [L1(epochs=10, share=0.8, batch=32), RigL(epochs=10, share=0.8, every=5, batch=32)]
)
def test_so_many_weights_are_zero_and_it_still_learns(technique: L1 | RigL) -> None:
    before, after = dense(), apply(technique, dense())
    assert zeros(after) == pytest.approx(0.8, abs=0.005)
    x, y = before.rows.val.x, before.rows.val.y
    assert (scores(after, x).argmax(1) == y).mean() > 0.6


def test_rewiring_ends_elsewhere_than_it_began() -> None:
    before = dense()
    still, moved = (apply(RigL(epochs=3, every=3, fraction=f), before) for f in (0.0, 0.5))
    one, two = (next(iter(masks.layers(w.model).values())) != 0 for w in (still, moved))
    assert one.sum() == two.sum() and bool((one != two).any())


@pytest.mark.parametrize(("kind", "scope"), [("cnn", "inner"), ("resnet", "all")])
def test_channels_at_zero_go_without_a_trace(kind: str, scope: str) -> None:
    data = digits("image", 300)
    work = apply(Train(epochs=1), apply(SmallCnn(8) if kind == "cnn" else SmallResNet(width=8), data))
    found = [group for group in groups.groups(work.model, example(work), scope) if group.of("in")]
    units = gates.Channels(found, work.model)
    worth = units.worth(work.model)
    kept = gates.widths(units.split(worth), 0.5, 1)
    units.scale_(work.model, torch.cat(kept).float())
    assert bool((units.worth(work.model)[~torch.cat(kept)] == 0).all())
    gone = {g.layer: (~k).nonzero()[:, 0].tolist() for g, k in zip(found, kept, strict=True)}
    less = groups.without(work.model, example(work), scope, lambda group: gone.get(group.layer, []))
    x = work.rows.val.x
    np.testing.assert_allclose(scores(replace(work, model=less), x), scores(work, x), atol=1e-5)
    assert (macs(replace(work, model=less)) or 0) < 0.7 * (macs(work) or 0)


def test_gates_folded_in_answer_as_they_did_and_shut_ones_go_without_a_trace() -> None:
    work = images()
    found = groups.groups(work.model, example(work), "inner")
    held = gates_concrete.HardConcrete(found, 0.5, 1, 10.0, 0)
    module = held.prepare(work.model)
    for gate in held._gates:
        with torch.no_grad():
            gate.raw.copy_(torch.linspace(-0.4, 0.4, len(gate.raw)))
    held.settle()
    gated = scores(replace(work, model=module.eval()), work.rows.val.x)
    folded = held.folded(module)
    np.testing.assert_allclose(scores(replace(work, model=folded), work.rows.val.x), gated, atol=1e-6)
    gone = {g.layer: (~k).nonzero()[:, 0].tolist() for g, k in zip(found, held.kept, strict=True)}
    less = groups.without(folded, example(work), "inner", lambda group: gone[group.layer])
    np.testing.assert_allclose(scores(replace(work, model=less), work.rows.val.x), gated, atol=1e-5)


@pytest.mark.parametrize("kind", [GroupLasso, L0])
def test_convolutions_lose_channels_and_still_learn(kind: type[GroupLasso] | type[L0]) -> None:
    work = apply(Train(**ENOUGH), apply(SmallCnn(8), digits("image", 600)))
    after = apply(kind(**ENOUGH, round_to=1), work)
    channels = [m.out_channels for m in after.model.modules() if isinstance(m, nn.Conv2d)]
    assert sum(channels) == pytest.approx(28, abs=1), channels
    x, y = work.rows.val.x, work.rows.val.y
    assert (scores(after, x).argmax(1) == y).mean() > 0.6 * (scores(work, x).argmax(1) == y).mean()


def test_gates_learn_which_neurons_do_nothing() -> None:
    """Neurons that are never read may be shut at no loss; the gates find them, which no weight of the maker shows."""
    work = dense()
    layers = [m for m in work.model.modules() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        layers[1].weight[:, ::2] = 0
        layers[0].weight[::2] *= 3
    found = groups.groups(work.model, example(work), "inner")
    after = apply(L0(epochs=8, share=16 / 56, round_to=1, learning_rate=3e-3), work)
    assert len(found) == 2 and (parameters(after) or 0) < (parameters(work) or 0)
    truth, x = work.rows.val.y, work.rows.val.x
    assert (scores(after, x).argmax(1) == truth).mean() >= (scores(work, x).argmax(1) == truth).mean() - 0.05


def test_inputs_that_say_nothing_are_dropped() -> None:
    given_ = digits()
    rng = np.random.default_rng(0)

    def noisy(split):  # type: ignore[no-untyped-def]
        return replace(split, x=np.hstack([split.x, 16 * rng.random((len(split), 16))]))

    data = replace(
        given_.rows, train=noisy(given_.rows.train), val=noisy(given_.rows.val), test=noisy(given_.rows.test)
    )
    work = apply(Train(**ENOUGH), apply(TorchMlp((32,)), replace(given_, data=data)))
    after = apply(LassoFeatures(**ENOUGH, share=0.4), work)
    kept = set(after.model.state_dict()[next(k for k in after.model.state_dict() if k.endswith("index"))].tolist())
    blank = set(np.flatnonzero(given_.rows.train.x.std(0) < 0.2).tolist())  # type: ignore[union-attr]
    assert len(kept) == 48
    useless = blank | set(range(64, 80))
    assert len(kept & useless) <= 0.25 * len(useless)
    x, y = data.val.x, data.val.y
    assert (scores(after, x).argmax(1) == y).mean() > 0.75


def test_named_columns_and_values_are_taken() -> None:
    for given_ in (people(), incomes()):
        work = apply(Train(epochs=2), apply(TorchMlp((16,)), given_))
        for technique in (LassoFeatures(epochs=2), GroupLasso(epochs=2), L0(epochs=2), L1(epochs=1), RigL(epochs=1)):
            after = apply(technique, work)
            assert np.isfinite(scores(after, work.rows.val.x)).all()


@settings(max_examples=30)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.floats(0.01, 0.99), st.integers(1, 8))
def test_no_layer_is_emptied(sizes: list[int], share: float, round_to: int) -> None:
    draw = torch.Generator().manual_seed(0)
    kept = gates.widths([torch.rand(n, generator=draw) for n in sizes], share, round_to)
    for mask, n in zip(kept, sizes, strict=True):
        assert 1 <= int(mask.sum()) <= n
        assert int(mask.sum()) % round_to == 0 or int(mask.sum()) == n
    for small, large in itertools.pairwise(sorted((share, min(0.99, share + 0.2)))):
        less, more = (
            sum(int(m.sum()) for m in gates.widths([torch.arange(float(n)) for n in sizes], s, 1))
            for s in (large, small)
        )
        assert less <= more


def test_a_network_without_channels_to_spare_fails_the_trial() -> None:
    work = replace(dense(), model=nn.Linear(64, 10).eval())
    for technique in (GroupLasso(epochs=1), L0(epochs=1)):
        with pytest.raises(TrialFailed, match="found no channels or neurons"):
            apply(technique, work)
    for technique in (L1(epochs=1), RigL(epochs=1)):
        with pytest.raises(TrialFailed, match="found no convolution or dense layer"):
            apply(technique, replace(work, model=nn.Sequential(nn.Flatten(), nn.ReLU())))
    with pytest.raises(TrialFailed, match="whose first layer is dense"):
        apply(LassoFeatures(epochs=1), images())


def test_a_linear_model_drops_inputs() -> None:
    after = apply(LassoFeatures(epochs=1), replace(dense(), model=nn.Linear(64, 10).eval()))
    assert after.model[1].weight.shape == (10, 32)


def test_training_that_diverges_fails_the_trial() -> None:
    work = dense()
    with torch.no_grad():
        next(work.model.parameters()).fill_(float("inf"))
    with pytest.raises(TrialFailed, match="training diverged"):
        apply(L0(epochs=1), work)


@pytest.mark.parametrize("kind", [L1, RigL, GroupLasso, L0, LassoFeatures])
def test_wrong_parameters_are_told(kind: type[L1]) -> None:
    with pytest.raises(InputError, match=r"share is in \(0, 1\), got 90; did you mean 0\.9\?"):
        kind(share=90)
    with pytest.raises(InputError, match="epochs is a number from 0"):
        kind(epochs=-1)


def test_wrong_parameters_of_their_own_are_told() -> None:
    with pytest.raises(InputError, match="scope is inner or all"):
        GroupLasso(scope="outer")
    with pytest.raises(InputError, match="round_to is a number of channels from 1"):
        L0(round_to=0)
    with pytest.raises(InputError, match="every is a number of steps"):
        RigL(every=0)
    with pytest.raises(InputError, match=r"fraction is in \[0, 1\]"):
        RigL(fraction=2)
