"""Units of recurrent layers removed: exact where nothing was lost, refused where it cannot be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from recurrent_samples import Reads, drawn, on_sequences, trained
from torch import nn

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import torch as framework
from trimwatt.framework.onnx import lower, run
from trimwatt.technique._base import apply
from trimwatt.technique.prune.recurrent import PruneRecurrent
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Workload

LAYERS = [
    (nn.GRU(8, 16, batch_first=True), "last"),
    (nn.LSTM(8, 16, batch_first=True), "mean"),
    (nn.RNN(8, 16, batch_first=True, nonlinearity="relu"), "mean"),
    (nn.GRU(8, 16, 2, batch_first=True, bidirectional=True), "final"),
    (nn.LSTM(8, 16, 2, batch_first=True, bias=False), "last"),
]


class TestPruneRecurrent(TechniqueContract):
    @pytest.fixture
    def technique(self) -> PruneRecurrent:
        return PruneRecurrent()

    @pytest.fixture
    def workload(self) -> Workload:
        return trained()


def answers(workload: Workload, rows: int = 50) -> torch.Tensor:
    with torch.no_grad():
        return workload.model(torch.from_numpy(workload.rows.val.x[:rows]))  # type: ignore[no-any-return]


def dead(model: Reads, units: list[int]) -> None:
    """Let nothing read these units of any level and direction (in place)."""
    layer, size = model.rnn, model.rnn.hidden_size
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            if name.startswith("weight_hh"):
                weight[:, units] = 0
            elif name.startswith("weight_ih") and "l0" not in name:
                weight[:, units] = 0
                if layer.bidirectional:
                    weight[:, [unit + size for unit in units]] = 0
        model.head.weight[:, units] = 0
        if layer.bidirectional:
            model.head.weight[:, [unit + size for unit in units]] = 0


@pytest.mark.parametrize(("layer", "how"), LAYERS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("importance", ["activation", "taylor"])
def test_units_that_nothing_reads_go_without_a_trace(layer: nn.Module, how: str, importance: str) -> None:
    model = drawn(Reads(layer, how))
    dead(model, [1, 4, 5, 9, 15])
    before = on_sequences(model)
    after = apply(PruneRecurrent(5 / 16, importance, repair=False, round_to=1), before)
    assert after.model.rnn.hidden_size == 11
    torch.testing.assert_close(answers(after), answers(before), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("layer", "how"), LAYERS, ids=lambda value: type(value).__name__)
def test_a_twin_stands_in_for_the_unit_that_goes(layer: nn.Module, how: str) -> None:
    model = drawn(Reads(layer, how))
    with torch.no_grad():
        for weight in model.rnn.parameters():
            rows = weight.view(-1, 16, *weight.shape[1:])
            rows[:, 3] = rows[:, 10]
    before = on_sequences(model)
    after = apply(PruneRecurrent(1 / 16, round_to=1), before)
    assert after.model.rnn.hidden_size == 15
    torch.testing.assert_close(answers(after), answers(before), atol=2e-3, rtol=1e-2)


def test_repair_answers_more_like_the_whole_than_none() -> None:
    whole = answers(trained())
    off = [
        float((answers(apply(PruneRecurrent(0.5, importance, repair), trained())) - whole).square().mean())
        for importance, repair in (("activation", True), ("activation", False), ("l1", True), ("l2", False))
    ]
    assert off[0] < off[1] and off[2] < off[3]


def test_two_layers_one_behind_the_other_both_shrink_and_run_in_onnx() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LSTM(8, 24), nn.GRU(24, 16)
            self.head = nn.Linear(16, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.second(self.first(x.transpose(0, 1))[0])[1][0])  # type: ignore[no-any-return]

    after = apply(PruneRecurrent(0.5, round_to=4), on_sequences(drawn(Two())))
    assert (after.model.first.hidden_size, after.model.second.input_size, after.model.second.hidden_size) == (12, 12, 8)
    rows = after.rows.val.x[:20]
    np.testing.assert_allclose(run.raw(lower(after), rows), answers(after, 20).numpy(), atol=1e-5)
    assert framework.parameters(after) < framework.parameters(on_sequences(drawn(Two())))  # type: ignore[operator]


def test_frozen_weights_stay_frozen_and_training_goes_on() -> None:
    model = drawn(Reads(nn.GRU(8, 16, batch_first=True)))
    model.rnn.weight_ih_l0.requires_grad_(False)
    after = apply(PruneRecurrent(), on_sequences(model)).model
    assert not after.rnn.weight_ih_l0.requires_grad and after.rnn.weight_hh_l0.requires_grad
    after(torch.zeros(2, 8, 8)).sum().backward()
    assert after.rnn.weight_hh_l0.grad.shape == (24, 8)


class Normed(Reads):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.rnn(x)[0][:, -1]))  # type: ignore[no-any-return]


def normed(norm: nn.Module) -> nn.Module:
    model = Normed(nn.GRU(8, 16, batch_first=True))
    model.norm = norm
    return drawn(model)


class Summed(Reads):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1] + self.rnn(x)[1][0].flip(1))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (lambda: normed(nn.LayerNorm(16)), "rnn: its states go into LayerNorm 'norm'"),
        (lambda: drawn(Summed(nn.GRU(8, 16, batch_first=True))), "rnn: several of its units come mixed"),
        (lambda: drawn(nn.Sequential(nn.Flatten(), nn.Linear(64, 10))), "the network is not recurrent"),
        (lambda: drawn(Reads(nn.LSTM(8, 12, proj_size=12 - 2, batch_first=True))), "its states are projected"),
    ],
)
def test_what_cannot_be_followed_is_refused(model: object, why: str) -> None:
    made = model()  # type: ignore[operator]
    if isinstance(made, Reads) and getattr(made.rnn, "proj_size", 0):
        made.head = nn.Linear(10, 10)
    with pytest.raises(TrialFailed, match=why):
        apply(PruneRecurrent(), on_sequences(made))


def test_a_layer_is_never_emptied() -> None:
    with pytest.raises(TrialFailed, match=r"share 0.99 leaves none of rnn's 24 units; ask at most 0.96"):
        apply(PruneRecurrent(0.99), trained())
    with pytest.raises(TrialFailed, match="removes no unit"):
        apply(PruneRecurrent(0.01), trained())


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 50}, {"importance": "size"}, {"round_to": 0}])
def test_wrong_parameters(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        PruneRecurrent(**wrong)  # type: ignore[arg-type]


def test_a_module_in_training_mode_stays_in_it() -> None:
    start = replace(trained(), model=drawn(Reads(nn.GRU(8, 16, batch_first=True))).train())
    apply(PruneRecurrent(), start)
    assert start.model.training
