"""Training in 16 bits: what a scaled loss saves, and that all three formats learn the same job."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from trimwatt.errors import TrialFailed
from trimwatt.framework import torch as framework
from trimwatt.framework.torch import precision
from trimwatt.technique._base import Technique, apply
from trimwatt.technique.architecture import SmallCnn, TorchMlp
from trimwatt.technique.train import FineTune, Train
from trimwatt.testing.samples import digits
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Workload


class TestFloat16(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return FineTune(epochs=1, precision="float16", dropout=0.2, label_smoothing=0.1, mixup=0.2)

    @pytest.fixture
    def workload(self) -> Workload:
        return apply(TorchMlp((16,)), digits(rows=300))


def quality(workload: Workload) -> float:
    rows = workload.rows.val
    return workload.quality(rows.y, framework.scores(workload, rows.x).argmax(1))


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16"])
def test_every_format_learns_and_leaves_weights_in_float32(kind: str) -> None:
    made = apply(Train(epochs=12, learning_rate=0.01, precision=kind), apply(TorchMlp((32,)), digits()))
    assert quality(made) > 0.8
    assert {p.dtype for p in made.model.parameters()} == {torch.float32}


def test_the_formats_differ() -> None:
    start = apply(TorchMlp((8,)), digits(rows=200))
    made = [apply(Train(epochs=1, precision=kind), start) for kind in ("float32", "bfloat16", "float16")]
    weights = [next(one.model.parameters()).detach().numpy() for one in made]
    assert not np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[1], weights[2])
    assert np.abs(weights[0] - weights[2]).max() < np.abs(weights[0] - weights[1]).max()


def _moved(kind: str, monkeypatch: pytest.MonkeyPatch, scaled: bool) -> float:
    """How far the first layer moves by a loss so small that its gradients are below what float16 can hold."""
    start = apply(TorchMlp((8,)), digits(rows=200))
    if not scaled:
        monkeypatch.setattr(precision, "scaler", lambda _: torch.amp.GradScaler("cpu", enabled=False))
    hooks = framework.Hooks(loss=lambda answer, batch, own: own() * 1e-7)
    plan = FineTune(epochs=1, learning_rate=1e4, optimizer="sgd", precision=kind, weight_decay=0)
    made = framework.fit(start, plan, hooks=replace(hooks, keep_last=True))
    before, after = next(start.model.parameters()), next(made.parameters())
    return float((after - before).detach().abs().max())


def test_gradients_that_float16_cannot_hold_survive_by_the_scaled_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _moved("float32", monkeypatch, scaled=True) > 1e-5
    assert _moved("float16", monkeypatch, scaled=True) == pytest.approx(
        _moved("float32", monkeypatch, scaled=True), rel=0.2
    )
    assert _moved("float16", monkeypatch, scaled=False) == 0


def test_a_step_whose_gradient_overflows_is_left_out_and_the_factor_halved() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    step, scaler = torch.optim.SGD([weight], lr=1.0), precision.scaler("float16")
    factor = scaler.get_scale()
    scaler.scale(weight.sum() * 1e36).backward()  # type: ignore[no-untyped-call]
    scaler.step(step)
    scaler.update()
    assert float(weight.detach()) == 1.0 and scaler.get_scale() == factor / 2


def test_only_float16_scales() -> None:
    assert [precision.scaler(kind).is_enabled() for kind in ("float32", "bfloat16", "float16")] == [False, False, True]


def test_auto_is_bfloat16_for_large_convolutions_on_a_processor_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    dense, convolves = apply(TorchMlp(), digits()), apply(SmallCnn(8), digits("image", 200))
    for fast, batch, expected in ((True, 10_000, "bfloat16"), (True, 1, "float32"), (False, 10_000, "float32")):
        monkeypatch.setattr(precision, "multiplies_bfloat16", lambda fast=fast: fast)
        assert precision.settled(convolves, "auto", batch) == expected
        assert precision.settled(dense, "auto", batch) == "float32"
    assert precision.settled(dense, "float16", 1) == "float16"


def test_answers_beyond_float16_fail_the_trial_with_what_to_do() -> None:
    start = apply(TorchMlp((8,)), digits(rows=200))
    for parameter in start.model.parameters():
        parameter.data.mul_(1e5)
    with pytest.raises(TrialFailed, match=r"diverged.*bfloat16"):
        apply(FineTune(precision="float16"), start)
