"""Zeroed weights: which, how many, held through training, and no promise of savings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pruning_samples import chain, drawn, on_images, trained
from torch import nn

from trimwatt import framework
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import lower
from trimwatt.technique import _graph
from trimwatt.technique._base import Technique, apply
from trimwatt.technique.prune import _zeros
from trimwatt.technique.prune.magnitude import PruneMagnitude
from trimwatt.technique.prune.pattern import PrunePattern
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Array, Workload


class TestPruneMagnitude(TechniqueContract):
    @pytest.fixture(params=[PruneMagnitude(), PruneMagnitude(2, share=0.5, by="random", scope="layer", rounds=2)])
    def technique(self, request: pytest.FixtureRequest) -> Technique:
        return request.param  # type: ignore[no-any-return]

    @pytest.fixture
    def workload(self) -> Workload:
        return trained()


class TestPruneMagnitudeOnnx(TechniqueContract):
    @pytest.fixture(params=[PruneMagnitude(), PrunePattern()])
    def technique(self, request: pytest.FixtureRequest) -> Technique:
        return request.param  # type: ignore[no-any-return]

    @pytest.fixture
    def workload(self) -> Workload:
        return lower(trained())


class TestPrunePattern(TestPruneMagnitude):
    @pytest.fixture(params=[PrunePattern(), PrunePattern(n=1, m=8, epochs=1)])
    def technique(self, request: pytest.FixtureRequest) -> Technique:
        return request.param  # type: ignore[no-any-return]


def weights(workload: Workload) -> list[Array]:
    if workload.form == "onnx":
        graph = _graph.tidy(workload.model).graph
        known = _graph.arrays(graph)
        return [known[node.input[1]] for node in _graph.layers(graph)]
    return [p.detach().numpy() for name, p in workload.model.named_parameters() if p.ndim > 1]


floats = arrays.arrays(np.float32, st.integers(1, 60), elements=st.floats(-10, 10, width=32))


@given(floats, floats, st.floats(0.01, 0.99))
def test_the_smallest_go_and_as_many_as_asked(one: Array, other: Array, share: float) -> None:
    given_ = {"one": one, "other": other}
    masks = _zeros.masks(_zeros.ranked(given_, "magnitude", 0), share, "global")
    kept = np.concatenate([np.abs(given_[name])[mask] for name, mask in masks.items()])
    gone = np.concatenate([np.abs(given_[name])[~mask] for name, mask in masks.items()])
    assert len(gone) == round(share * (one.size + other.size))
    assert not kept.size or not gone.size or gone.max() <= kept.min()
    for name, mask in _zeros.masks(_zeros.ranked(given_, "random", 0), share, "layer").items():
        assert (~mask).sum() == round(share * given_[name].size)


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.floats(-9, 9, width=32)))
def test_n_of_m_keeps_the_n_largest_of_every_m(small: Array) -> None:
    weight = np.tile(small, (1, 4)) + np.random.default_rng(0).random((small.shape[0], 4 * small.shape[1]))
    mask = _zeros.n_of_m(np.abs(weight), 2, 4, 1)
    assert mask is not None
    for row, kept in zip(np.abs(weight).reshape(-1, 4), mask.reshape(-1, 4), strict=True):
        assert kept.sum() == 2 and set(np.flatnonzero(kept)) == set(np.argsort(-row)[:2])
    across = _zeros.n_of_m(np.abs(weight.T), 2, 4, 0)
    assert across is not None and (mask == across.T).all()


def test_the_schedule_is_the_cubic_that_ends_at_the_share() -> None:
    shares = [_zeros.share_at(0.8, done, 4) for done in np.linspace(0, 1, 200)]
    assert shares == sorted(shares) and shares[-1] == 0.8
    assert sorted(set(shares)) == pytest.approx([0.8 * (1 - (1 - k / 4) ** 3) for k in (1, 2, 3, 4)])
    assert _zeros.share_at(0.8, 0.0, 1) == 0.8


@pytest.mark.parametrize("technique", [PruneMagnitude(share=0.7, epochs=2, rounds=3), PrunePattern(epochs=1)])
def test_zeros_stay_zero_through_training_and_the_rest_learns(technique: Technique) -> None:
    before, after = weights(trained()), weights(apply(technique, trained()))
    zeros = np.concatenate([(w == 0).ravel() for w in after])
    share = 0.7 if isinstance(technique, PruneMagnitude) else 0.5
    assert zeros.mean() == pytest.approx(share, abs=0.02)
    assert all((a != b)[b != 0].mean() > 0.9 for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "technique", [PruneMagnitude(share=0.6), PruneMagnitude(share=0.6, scope="layer"), PrunePattern()]
)
def test_onnx_and_torch_give_the_same_zeros(technique: Technique) -> None:
    start = trained()
    here, there = apply(technique, start), apply(technique, lower(start))
    rows = start.rows.val.x
    said = framework.get("torch").scores(here, rows), framework.get("onnx").scores(there, rows)
    np.testing.assert_allclose(*said, atol=2e-5)
    assert sum((w == 0).sum() for w in weights(there)) == sum((w == 0).sum() for w in weights(here))


def test_it_promises_nothing_and_says_so() -> None:
    for kind in (PruneMagnitude, PrunePattern):
        assert kind.shrinks == frozenset()
        assert "saves neither time nor bytes" in " ".join((kind.__doc__ or "").split())


def test_layers_the_pattern_does_not_fit_are_left_and_named(caplog: pytest.LogCaptureFixture) -> None:
    start = on_images(drawn(chain()))
    with caplog.at_level("INFO", "trimwatt"):
        after = apply(PrunePattern(), start)
    assert "prune-pattern leaves 0 alone" in caplog.text
    assert torch.equal(after.model[0].weight, start.model[0].weight)
    assert (after.model[2].weight == 0).float().mean() == 0.5
    with pytest.raises(TrialFailed, match="no layer has inputs in a multiple of 64, as 2 of 64 needs"):
        apply(PrunePattern(m=64), on_images(drawn(nn.Sequential(nn.Flatten(), nn.Linear(32, 10)))))


def test_bad_parameters_are_named() -> None:
    for made, said in (
        (lambda: PruneMagnitude(share=80), r"did you mean 0\.8\?"),
        (lambda: PruneMagnitude(by="luck"), "by is magnitude or random, got 'luck'"),
        (lambda: PruneMagnitude(rounds=3), "only with epochs"),
        (lambda: PrunePattern(n=4), "1 <= n < m, got 4 of 4"),
        (lambda: PruneMagnitude(epochs=-1), "epochs is a number from 0"),
    ):
        with pytest.raises(InputError, match=said):
            made()


def test_what_cannot_be_done_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match="trains only PyTorch modules"):
        apply(PruneMagnitude(epochs=1), lower(trained()))
    with pytest.raises(TrialFailed, match="no convolution or dense layer"):
        apply(PruneMagnitude(), replace(trained(), model=nn.Flatten()))
