"""Heads and neurons removed: exact where nothing was lost, refused where nothing is known."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from transformer_samples import Bert, Plain, drawn, on_sequences, trained

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import lower, run
from trimwatt.framework.torch import attention
from trimwatt.technique._base import apply
from trimwatt.technique.prune import _readout
from trimwatt.technique.prune.heads import PruneHeads
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Workload

KINDS = [Bert, Plain, lambda: Plain(batch_first=False)]


class TestPruneHeads(TechniqueContract):
    @pytest.fixture
    def technique(self) -> PruneHeads:
        return PruneHeads(round_to=8)

    @pytest.fixture(params=["bert", "plain"])
    def workload(self, request: pytest.FixtureRequest) -> Workload:
        found: Workload = getattr(trained(), request.param)
        return found


def answers(workload: Workload, rows: int = 50) -> torch.Tensor:
    with torch.no_grad():
        return workload.model(torch.from_numpy(workload.rows.val.x[:rows]))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("importance", ["activation", "taylor"])
def test_heads_and_neurons_that_nothing_takes_go_without_a_trace(kind: type, importance: str) -> None:
    model = attention.opened(drawn(kind()))
    for units in attention.found(model):
        gone = [1] if units.kind == "heads" else list(range(3, 11))
        with torch.no_grad():
            for unit in gone:
                model.get_submodule(units.taker).weight[:, unit * units.width : (unit + 1) * units.width] = 0
    before = on_sequences(model)
    after = apply(PruneHeads(0.25, 0.25, importance, repair=False, round_to=8), before)
    assert [units.number for units in attention.found(after.model)] == [3, 24] * 2
    torch.testing.assert_close(answers(after), answers(before), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rows_first", [True, False])
def test_attention_as_dense_layers_answers_as_it_did(rows_first: bool) -> None:
    model = drawn(Plain(rows_first))
    before = answers(on_sequences(model))
    opened = attention.opened(model)
    assert not any(type(part) is nn.MultiheadAttention for part in opened.modules())
    torch.testing.assert_close(answers(on_sequences(opened)), before, atol=1e-5, rtol=1e-4)


def test_a_neuron_with_a_twin_is_made_up_for() -> None:
    model = drawn(Bert())
    for layer in model.layers:  # type: ignore[union-attr]
        maker = layer.intermediate.dense  # type: ignore[union-attr]
        with torch.no_grad():
            maker.weight[16:], maker.bias[16:] = maker.weight[:16].clone(), maker.bias[:16].clone()
    before = on_sequences(model)
    after = apply(PruneHeads(0.0, 0.5), before)
    torch.testing.assert_close(answers(after), answers(before), atol=2e-3, rtol=1e-2)


def test_repair_answers_more_like_the_whole_than_none() -> None:
    whole = answers(trained().bert)
    off = [
        float((answers(apply(PruneHeads(0.25, 0.5, importance, repair), trained().bert)) - whole).square().mean())
        for importance, repair in (
            ("activation", True),
            ("activation", False),
            ("magnitude", True),
            ("magnitude", False),
        )
    ]
    assert off[0] < off[1] and off[2] < off[3]


@pytest.mark.parametrize("which", ["bert", "plain"])
def test_what_is_left_runs_in_onnx(which: str) -> None:
    after = apply(PruneHeads(0.5, 0.5), getattr(trained(), which))
    rows = after.rows.val.x[:20]
    np.testing.assert_allclose(run.raw(lower(after), rows), answers(after, 20).numpy(), atol=1e-4)


def test_the_encoder_of_transformers_loses_heads() -> None:
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    from transformers import BertConfig, BertModel

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = BertConfig(
                vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
                attn_implementation="eager",
            )  # fmt: skip
            bert = BertModel(config, add_pooling_layer=False)
            self.embed, self.layers, self.head = nn.Linear(8, 16), bert.encoder.layer, nn.Linear(16, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            states = self.embed(x)
            for layer in self.layers:
                states = layer(states)
            return self.head(states.mean(1))  # type: ignore[no-any-return]

    after = apply(PruneHeads(0.5, 0.5), on_sequences(drawn(Net())))
    assert [units.number for units in attention.found(after.model)] == [2, 16] * 2
    assert after.model.layers[0].attention.self.query.out_features == 8


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(TrialFailed, match="no encoder layer of a known layout"):
        apply(PruneHeads(), on_sequences(drawn(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))))


def test_a_layer_is_never_emptied() -> None:
    with pytest.raises(TrialFailed, match=r"share 0.95 leaves none of .*attention's 4 heads; ask at most 0.75"):
        apply(PruneHeads(0.95), trained().bert)
    with pytest.raises(TrialFailed, match="no head and no neuron is removed"):
        apply(PruneHeads(0.0, 0.01), trained().bert)


@pytest.mark.parametrize(
    "wrong", [{"heads": 1.0}, {"neurons": 25}, {"heads": 0.0, "neurons": 0.0}, {"importance": "l1"}, {"round_to": 0}]
)
def test_wrong_parameters(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        PruneHeads(**wrong)  # type: ignore[arg-type]


def test_a_module_in_training_mode_stays_in_it() -> None:
    start = replace(trained().bert, model=drawn(Bert()).train())
    apply(PruneHeads(), start)
    assert start.model.training


def test_places_behind_the_end_of_a_row_are_not_fitted() -> None:
    before = trained().bert
    rows = torch.from_numpy(before.rows.val.x[:9])
    found = attention.found(before.model)[1]
    flow = _readout.flows(before.model, [found.taker], rows)[found.taker]
    ended = (rows.sum(2) == 0).reshape(-1).numpy()
    assert ended.any() and flow.places.tolist() == np.flatnonzero(~ended).tolist()
    given = _readout.given(before.model, found.taker, rows, flow.places)
    np.testing.assert_allclose(given, flow.given, atol=1e-6)
