"""Low rank: exact at full rank, off by what Eckart and Young say below it, the planted rank found in noise."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import lower, scores
from trimwatt.framework.torch import lowrank, macs, parameters
from trimwatt.technique import apply
from trimwatt.technique._base import Technique
from trimwatt.technique.architecture import SmallCnn, TorchMlp
from trimwatt.technique.factorize import Cp, Svd, Tucker, _bayes, _dense, cp, tucker
from trimwatt.technique.train import Train
from trimwatt.testing.samples import digits
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Array, Decide, Workload


def mlp() -> Workload:
    return apply(Train(epochs=3), apply(TorchMlp((96, 64)), digits()))


def images() -> Workload:
    return apply(SmallCnn(16), digits("image", 300))


class TestSvd(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return Svd(keep=0.7)

    @pytest.fixture
    def workload(self) -> Workload:
        return mlp()


class TestSvdOfOnnx(TestSvd):
    @pytest.fixture
    def workload(self) -> Workload:
        return lower(mlp())


class TestTucker(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return Tucker(rank="budget", keep=0.5)

    @pytest.fixture
    def workload(self) -> Workload:
        return images()


class TestCp(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return Cp()

    @pytest.fixture
    def workload(self) -> Workload:
        return apply(SmallCnn(8), digits("image", 300))


def layer(kernel: int = 3, stride: int = 1, bias: bool = True, inputs: int = 6, out: int = 9) -> lowrank.Layer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(kernel + stride)
        module = nn.Conv2d(inputs, out, kernel, stride, padding=kernel // 2, bias=bias, padding_mode="reflect")
    return lowrank.Layer("it", module, 64, 64 // stride**2)


def same(one: nn.Module, other: nn.Module, channels: int) -> None:
    x = torch.randn(3, channels, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(one(x), other(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("by", ["weights", "answers"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_dense_layer_at_full_rank_is_itself(by: str, bias: bool) -> None:
    rng = np.random.default_rng(0)
    weight, shift = rng.normal(size=(7, 12)), rng.normal(size=7) if bias else None
    x = rng.normal(size=(200, 12)) + 1
    y = x @ weight.T + (0 if shift is None else shift)
    found = _dense.of_weights(weight, shift)
    if by == "answers":
        found = _dense.of_answers(weight, shift, len(y), y.sum(0), y.T @ y)
    first, second, new = found.cut(7)
    np.testing.assert_allclose(x @ first.T @ second.T + (0 if new is None else new), y, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_1x1_convolution_or_a_larger_one_at_full_rank_is_itself(kernel: int, stride: int) -> None:
    one = layer(kernel, stride)
    if kernel == 1:
        found = _dense.of_weights(one.weight.reshape(9, 6), one.bias)
        same(lowrank.dense(one.module, *found.cut(6)), one.module, 6)
    else:
        same(tucker.chain(one, (9, 6)), one.module, 6)


def test_tucker_finds_a_kernel_of_low_rank_again() -> None:
    one = layer(inputs=8, out=10)
    rng = np.random.default_rng(0)
    kernel = np.einsum(
        "oa,ib,abhw->oihw", rng.normal(size=(10, 3)), rng.normal(size=(8, 2)), rng.normal(size=(3, 2, 3, 3))
    )
    with torch.no_grad():
        one.module.weight.copy_(torch.from_numpy(kernel) / 5)
    chain = tucker.chain(one, (3, 2))
    assert [tuple(part.weight.shape) for part in chain] == [(2, 8, 1, 1), (3, 2, 3, 3), (10, 3, 1, 1)]
    same(chain, one.module, 8)
    assert tucker.choice(one).bayes == (3, 2)


@pytest.mark.parametrize(
    ("ranks", "sides", "rounded"),
    [((1, 5), (64, 64), (8, 8)), ((9, 64), (64, 64), (16, 64)), ((3, 2), (16, 6), (4, 2)), ((63, 1), (63, 3), (63, 1))],
)
def test_ranks_go_up_to_whole_blocks(ranks: tuple[int, int], sides: tuple[int, int], rounded: tuple[int, int]) -> None:
    assert tucker._rounded(ranks, sides, 8) == rounded


def test_cp_finds_a_planted_kernel_again() -> None:
    one = layer(inputs=8, out=10)
    rng = np.random.default_rng(0)
    factors = [rng.normal(size=(side, 3)) for side in (10, 8, 9)]
    with torch.no_grad():
        one.module.weight.copy_(torch.from_numpy(cp.whole(factors, (10, 8, 3, 3))) / 5)
    chain = cp.chain(one, cp.fit(one.weight, 3))
    assert [tuple(part.weight.shape) for part in chain] == [(3, 8, 1, 1), (3, 1, 3, 3), (10, 3, 1, 1)]
    same(chain, one.module, 8)


@settings(max_examples=30)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 10_000), st.data())
def test_cutting_errs_by_the_singular_values_left_out(out: int, inputs: int, seed: int, data: st.DataObject) -> None:
    weight = np.random.default_rng(seed).normal(size=(out, inputs))
    rank = data.draw(st.integers(1, min(out, inputs)))
    first, second, _ = _dense.of_weights(weight, None).cut(rank)
    left_out = np.linalg.svd(weight, compute_uv=False)[rank:]
    assert np.linalg.norm(weight - second @ first) == pytest.approx(np.linalg.norm(left_out), abs=1e-9)


@settings(max_examples=30)
@given(st.integers(2, 10), st.integers(2, 10), st.integers(0, 10_000), st.booleans(), st.data())
def test_by_answers_no_product_of_that_rank_answers_better(
    out: int, inputs: int, seed: int, bias: bool, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    weight, shift = rng.normal(size=(out, inputs)), rng.normal(size=out) if bias else None
    x = rng.normal(size=(60, inputs)) @ rng.normal(size=(inputs, inputs)) + rng.normal(size=inputs)
    y = x @ weight.T + (0 if shift is None else shift)
    rank = data.draw(st.integers(1, min(out, inputs)))

    def error(found: _dense.Factors) -> float:
        first, second, new = found.cut(rank)
        return float(np.square(x @ first.T @ second.T + (0 if new is None else new) - y).sum())

    aware = _dense.of_answers(weight, shift, len(y), y.sum(0), y.T @ y)
    assert error(aware) <= error(_dense.of_weights(weight, shift)) + 1e-6
    # what is lost is the variance along the directions left out
    assert error(aware) == pytest.approx(len(y) * np.square(aware.strength[rank:]).sum(), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "planted", "noise"),
    [((60, 40), 5, 0.1), ((100, 300), 20, 0.5), ((64, 576), 10, 1.0), ((50, 50), 0, 1.0), ((80, 30), 8, 1e-9)],
)
def test_variational_bayes_finds_the_planted_rank(shape: tuple[int, int], planted: int, noise: float) -> None:
    rng = np.random.default_rng(3)
    signal = rng.normal(size=(shape[0], planted)) @ rng.normal(size=(planted, shape[1]))
    matrix = signal + noise * rng.normal(size=shape)
    assert _bayes.rank(matrix) == _bayes.rank(matrix.T) == _bayes.rank(100 * matrix) == planted


def test_nothing_has_no_rank() -> None:
    assert _bayes.rank(np.zeros((4, 5))) == 0


def low(widths: tuple[int, ...] = (64, 48, 40), rank: int = 4) -> Workload:
    """An MLP on digits whose first two matrices have rank `rank` and a little noise."""
    rng, made = np.random.default_rng(1), []
    for inputs, out in zip(widths, (*widths[1:], 10), strict=True):
        linear = nn.Linear(inputs, out)
        planted = rng.normal(size=(out, rank)) @ rng.normal(size=(rank, inputs)) / inputs
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(planted + 1e-4 * rng.normal(size=planted.shape)))
        made += [linear, nn.ReLU()]
    data = digits()
    model = nn.Sequential(*made[:-1]).double().eval()
    return replace(data, model=model, form="torch", decide=Decide(data.rows.classes or ()))


def shapes(workload: Workload) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for p in workload.model.parameters() if p.ndim > 1]


def answers(workload: Workload) -> Array:
    rows = torch.from_numpy(workload.rows.val.x)  # type: ignore[arg-type]
    with torch.no_grad():
        return np.asarray(workload.model(rows).numpy())


@pytest.mark.parametrize("by", ["weights", "answers"])
@pytest.mark.parametrize("rank", ["bayes", "energy"])
def test_layers_of_low_rank_shrink_to_it_and_answer_alike(by: str, rank: str) -> None:
    before = low()
    after = apply(Svd(by=by, rank=rank, keep=0.999), before)
    if rank == "bayes":
        assert shapes(after) == [(4, 64), (48, 4), (4, 48), (40, 4), (10, 40)]
    assert (parameters(after) or 0) < 0.4 * (parameters(before) or 0)
    assert np.abs(answers(after) - answers(before)).max() < 0.05 * np.ptp(answers(before))
    assert shapes(after)[-1] == (10, 40), "the head is left alone"


def test_an_onnx_file_is_factored_as_the_module_is() -> None:
    before = mlp()
    for by in ("weights", "answers"):
        technique = Svd(keep=0.8, by=by, calibration_rows=10_000)
        module, file = apply(technique, before), apply(technique, lower(before))
        x = before.rows.val.x
        np.testing.assert_allclose(scores(lower(module), x), scores(file, x), atol=2e-3)


@pytest.mark.parametrize("cost", ["macs", "parameters"])
@pytest.mark.parametrize("keep", [0.3, 0.6])
def test_a_budget_is_held_and_nearly_used(cost: str, keep: float) -> None:
    before = images()
    after = apply(Tucker(rank="budget", keep=keep, cost=cost), before)
    was = np.array([m.weight.numel() * p for m, p in convolutions(before)])
    is_now = np.array([m.weight.numel() * p for m, p in convolutions(after)])
    if cost == "parameters":
        was, is_now = (np.array([m.weight.numel() for m, _ in convolutions(w)]) for w in (before, after))
    assert 0.6 * keep * was.sum() < is_now.sum() <= keep * was.sum()
    assert (macs(after) or 0) < (macs(before) or 0)


def convolutions(workload: Workload) -> list[tuple[nn.Conv2d, int]]:
    """Convolutions with the pixels they answer for."""
    ran: list[tuple[nn.Conv2d, int]] = []
    module = copy.deepcopy(workload.model)
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(lambda conv, _, y: ran.append((conv, y[0, 0].numel())))
    module(torch.from_numpy(workload.prepare.transform(workload.rows.val.x[:1])))  # type: ignore
    return ran


def test_layers_that_cannot_be_factored_are_listed(caplog: pytest.LogCaptureFixture) -> None:
    tied = nn.Linear(64, 64)
    model = nn.Sequential(tied, nn.ReLU(), tied, nn.ReLU(), nn.Linear(64, 10)).double().eval()
    work = replace(low(), model=model)
    with pytest.raises(TrialFailed, match=r"svd found no layer.*0: it shares its weights; 4: it gives the answer"):
        apply(Svd(), work)
    with pytest.raises(TrialFailed, match=r"tucker found no layer that it would shrink: there are none of its kind"):
        apply(Tucker(), work)
    with caplog.at_level("INFO", "trimwatt"):
        apply(Svd(rank="bayes"), low())
    assert "svd left 1 layers as they are: 4: it gives the answer" in caplog.text


def test_full_ranks_that_would_not_shrink_leave_layers_alone() -> None:
    work = replace(low(), model=nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)).double().eval())
    with pytest.raises(TrialFailed, match="a rank that keeps enough of it makes it no smaller"):
        apply(Svd(keep=0.9999), work)


def test_transformer_layers_that_read_their_own_weights_are_left() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.wide, self.head = nn.Linear(16, 64), nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.head(self.wide(self.layer(x.float().reshape(-1, 4, 16)).mean(1)))
            return y

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        work = replace(low(), model=Reader().eval())
    after = apply(Svd(by="weights", rank="budget", keep=0.5), work)
    assert isinstance(after.model.wide, nn.Sequential)
    assert isinstance(after.model.layer.linear1, nn.Linear)


def test_rows_of_the_wrong_shape_fail_the_trial() -> None:
    work = replace(low(), model=nn.Sequential(nn.Linear(63, 40), nn.ReLU(), nn.Linear(40, 10)).double().eval())
    with pytest.raises(TrialFailed, match="the network does not take the training rows"):
        apply(Svd(), work)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"keep": 90}, r"in \(0, 1\), got 90; did you mean 0\.9\?"),
        ({"keep": 1.0}, "got 1"),
        ({"rank": "full"}, "rank is energy, bayes, budget, got 'full'"),
        ({"cost": "bytes"}, "cost is macs, parameters"),
        ({"by": "luck"}, "by is answers or weights"),
        ({"calibration_rows": 1}, "from 2, got 1"),
    ],
)
def test_wrong_parameters_are_told(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Svd(**wrong)  # type: ignore[arg-type]
