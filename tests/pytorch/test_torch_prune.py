"""Pruning of modules: exact where nothing was lost, refused where nothing is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import torch as framework
from trimwatt.framework.torch.blocks import residual_blocks, without
from trimwatt.framework.torch.residual import Residual, ResNet
from trimwatt.technique._base import apply
from trimwatt.technique.architecture import SmallResNet, TorchMlp
from trimwatt.technique.prune.blocks import PruneBlocks
from trimwatt.technique.prune.channels import PruneChannels
from trimwatt.testing.samples import digits
from trimwatt.workload import Decide, Workload


def seeded(model: nn.Module) -> nn.Module:
    """The model with weights and running statistics of its own, in evaluation mode."""
    draw = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.3
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean = torch.rand(layer.num_features, generator=draw)
            layer.running_var = torch.rand(layer.num_features, generator=draw) + 0.5
    return model.eval()


def on_images(model: nn.Module) -> Workload:
    """Digits as images (n, 8, 8), prepared to (n, 1, 8, 8), with `model`."""
    return replace(apply(SmallResNet(), digits("image")), model=model)


def answers(workload: Workload) -> torch.Tensor:
    with torch.no_grad():
        rows = torch.from_numpy(workload.prepare.transform(workload.rows.val.x))  # type: ignore[union-attr]
        return workload.model(rows)  # type: ignore[no-any-return]


def chain() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(24 * 16, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip


def test_dead_channels_and_neurons_go_without_a_trace() -> None:
    model = seeded(chain())
    with torch.no_grad():
        for maker, taker, each in ((model[0], model[3], 1), (model[3], model[6], 16), (model[6], model[8], 1)):
            half = maker.weight.shape[0] // 2
            maker.weight[:half] = maker.bias[:half] = 0
            taker.weight[:, : half * each] = 0
        model[1].weight[:8] = model[1].bias[:8] = 0
    before = on_images(model)
    after = apply(PruneChannels(0.5, round_to=1, recalibrate=False), before)
    assert [after.model[i].weight.shape[0] for i in (0, 3, 6, 8)] == [8, 12, 16, 10]
    torch.testing.assert_close(answers(after), answers(before))


def test_by_batch_normalization_the_least_scaled_channels_go() -> None:
    model = seeded(nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([1.0, 0, 1, 0, 1, 0, 1, 0]))
        model[1].bias.copy_(torch.tensor([1.0, 0, 1, 0, 1, 0, 1, 0]))
    before = on_images(model)
    after = apply(PruneChannels(0.5, importance="bn", round_to=1, recalibrate=False), before)
    assert after.model[1].weight.tolist() == [1, 1, 1, 1]
    torch.testing.assert_close(answers(after), answers(before))


def test_inner_channels_leave_the_residual_stream_alone() -> None:
    before = on_images(seeded(ResNet(1, 10, 16, 2, 0)))
    inner = apply(PruneChannels(0.5), before).model
    for block, old in zip(inner.modules(), before.model.modules(), strict=True):
        if isinstance(block, Residual):
            assert block.first[0].out_channels == old.first[0].out_channels // 2
            assert block.second[0].out_channels == old.second[0].out_channels
    everything = apply(PruneChannels(0.5, "all"), before).model
    assert everything[0][0].out_channels == 8 and everything[-1].in_features == 32


def test_the_head_keeps_its_columns_and_frozen_weights_stay_frozen() -> None:
    start = apply(TorchMlp((32, 32)), digits())
    start.model[0].requires_grad_(False)
    after = apply(PruneChannels(0.5), start).model
    assert [layer.out_features for layer in after if isinstance(layer, nn.Linear)] == [16, 16, 10]
    assert not after[0].weight.requires_grad and after[2].weight.requires_grad


@given(st.floats(0.01, 0.9), st.floats(0.01, 0.9), st.integers(16, 512), st.sampled_from([1, 4, 8]))
def test_what_is_kept(one: float, other: float, channels: int, round_to: int) -> None:
    small, large = sorted((one, other))
    kept, fewer = (PruneChannels(s, round_to=round_to).kept("layer", channels) for s in (small, large))
    assert 1 <= fewer <= kept <= channels
    assert kept == channels or kept % round_to == 0
    exact = channels * (1 - small)
    assert kept == channels or abs(kept - exact) <= max(round_to / 2, round_to - exact) + 1e-9


def test_nearly_nothing_removes_nothing_and_says_so() -> None:
    assert PruneChannels(1e-9, round_to=1).kept("layer", 64) == 64
    with pytest.raises(TrialFailed, match="no channel can be removed"):
        apply(PruneChannels(0.01), apply(TorchMlp(), digits()))


def test_a_layer_is_never_emptied() -> None:
    with pytest.raises(TrialFailed, match=r"leaves none of 0's 8 channels; ask at most 0.88"):
        apply(PruneChannels(0.95), apply(TorchMlp((8,)), digits()))


@pytest.mark.parametrize(("share", "said"), [(50, "did you mean 0.5?"), (0, "share"), (1, "share"), (-0.1, "share")])
def test_shares_are_shares(share: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        PruneChannels(share)


def test_percent_of_blocks_is_caught_and_all_of_them_allowed() -> None:
    with pytest.raises(InputError, match=r"did you mean 0.5\?"):
        PruneBlocks(50)
    assert PruneBlocks(1).share == 1


def test_blocks_are_those_that_add_to_their_input() -> None:
    model = seeded(ResNet(1, 10, 8, 3, 0))
    rows = torch.rand(2, 1, 8, 8)
    found = residual_blocks(model, rows)
    assert found == ["2", "3", "4", "6", "7", "9", "10"]
    assert residual_blocks(seeded(chain()), rows) == []


class Named(nn.Module):
    """Blocks held by name and called one by one, as many networks are written."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.first, self.second = Residual(8, 8, 1), Residual(8, 8, 1)
        self.head = nn.Linear(512, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(self.first(torch.relu(self.stem(x))))
        return self.head(x.flatten(1))  # type: ignore[no-any-return]


def test_a_block_that_adds_nothing_is_the_first_to_go_and_leaves_no_trace() -> None:
    model = seeded(Named())
    with torch.no_grad():
        model.second.second[1].weight.zero_()  # type: ignore[union-attr, index, operator]
        model.second.second[1].bias.zero_()  # type: ignore[union-attr, index, operator]
    before = on_images(model)
    after = apply(PruneBlocks(0.5, recalibrate=False), before)
    assert isinstance(after.model.second, nn.Identity) and isinstance(after.model.first, Residual)
    torch.testing.assert_close(answers(after), answers(before))


def test_entries_of_a_chain_are_deleted_whatever_their_order() -> None:
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(12)))
    left = without(model, ["2", "10", "0"], torch.rand(2, 4))
    kept = [model[i] for i in (1, 3, 4, 5, 6, 7, 8, 9, 11)]
    assert left is not None and all(torch.equal(a.weight, b.weight) for a, b in zip(left.children(), kept, strict=True))
    assert len(model) == 12


class Listed(nn.Module):
    """A transformer: it looks into its first layer, so that layers can be deleted but not replaced."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.start = nn.Linear(8, 8)
        self.layers = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.start(x.squeeze(1))).mean(1))  # type: ignore[no-any-return]


def test_layers_of_a_transformer_are_taken_from_their_list() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        before = on_images(Listed().eval())
    after = apply(PruneBlocks(0.6), before)
    assert len(after.model.layers.layers) == 1
    assert answers(after).shape == answers(before).shape
    counted, less = framework.macs(before), framework.macs(after)
    products = 8 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * 8 * 8 * 8
    assert counted is not None and less is not None and counted - less == 2 * products
    with pytest.raises(TrialFailed, match="does not run without 3 of its 3"):
        apply(PruneBlocks(1.0), before)


def test_a_network_without_such_blocks_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match="no residual block"):
        apply(PruneBlocks(), apply(TorchMlp(), digits()))


def test_the_layers_that_give_the_answer_are_found() -> None:
    model = seeded(chain())
    assert framework.heads(model, torch.rand(2, 1, 8, 8), 10) == [model[8]]

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.a, self.b = nn.Linear(64, 8), nn.Linear(8, 4), nn.Linear(8, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.body(x).relu()
            return torch.cat([self.a(h), self.b(h)], 1)

    two = Two()
    assert set(framework.heads(two, torch.rand(2, 64), 10)) == {two.a, two.b}
    start = replace(apply(TorchMlp(), digits()), model=two.eval())
    pruned = apply(PruneChannels(0.5, round_to=1), start)
    assert framework.scores(pruned, digits().rows.val.x).shape[1] == 10
    assert pruned.decide == Decide(tuple(range(10))) and np.isclose(framework.macs(pruned) or 0, 64 * 4 + 4 * 10)
