"""Dropout, label smoothing and mixup: their closed forms, and that nothing of them stays in the trained network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import torch as framework
from trimwatt.framework.torch.regularise import dropping, mixed
from trimwatt.tasks._losses import ClassLoss
from trimwatt.technique._base import apply
from trimwatt.technique.architecture import SmallCnn, TorchMlp
from trimwatt.technique.train import FineTune, Train
from trimwatt.testing.samples import digits, incomes
from trimwatt.workload import Split, Workload

LOGITS = st.lists(st.floats(-6, 6), min_size=3, max_size=3)


@given(st.lists(LOGITS, min_size=1, max_size=6), st.floats(0, 0.9), st.data())
def test_a_smoothed_loss_is_the_mix_of_its_own_class_and_of_all(
    rows: list[list[float]], share: float, data: st.DataObject
) -> None:
    """(1 - e) CE(y) + e times the mean of CE over all classes; the same from probabilities."""
    answer = torch.tensor(rows)
    y = torch.tensor(data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows))))
    logs = answer.log_softmax(1)
    expected = -(1 - share) * logs[torch.arange(len(y)), y].mean() - share * logs.mean()
    for outputs, given_ in (("logits", answer), ("probabilities", answer.softmax(1))):
        judged = ClassLoss(outputs, np.arange(3), smoothing=share)(given_, y)  # type: ignore[arg-type]
        assert float(judged) == pytest.approx(float(expected), abs=2e-3)


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=6), st.floats(0, 0.9))
def test_one_smoothed_logit_is_two_of_which_one_is_zero(logits: list[float], share: float) -> None:
    one = torch.tensor(logits).reshape(-1, 1)
    y = torch.arange(len(logits)) % 2
    judge = ClassLoss("logits", np.arange(2), smoothing=share)
    two = torch.cat([torch.zeros_like(one), one], dim=1)
    assert float(judge(one, y)) == pytest.approx(float(judge(two, y)), abs=1e-5)


def test_held_out_rows_are_judged_without_smoothing() -> None:
    """A network that is sure and right beats any other on held-out rows, though not by the smoothed loss."""
    seen: list[tuple[bool, float]] = []
    start = apply(TorchMlp((8,)), digits(rows=200))

    def note(answer: torch.Tensor, batch: framework.Batch, own: object) -> torch.Tensor:
        value: torch.Tensor = own()  # type: ignore[operator]
        plain = functional.cross_entropy(answer, batch.y)
        seen.append((answer.requires_grad, float((value - plain).detach().abs())))
        return value

    plan = FineTune(epochs=1, label_smoothing=0.3)
    framework.fit(start, plan, hooks=framework.Hooks(loss=note))
    assert max(gap for learns, gap in seen if not learns) < 1e-5 < min(gap for learns, gap in seen if learns)


def test_smoothed_training_is_less_sure() -> None:
    start = apply(TorchMlp((32,)), digits())
    sure = [
        framework.scores(apply(Train(epochs=15, learning_rate=0.01, label_smoothing=e), start), start.rows.val.x).max(1)
        for e in (0.0, 0.3)
    ]
    assert sure[1].mean() < sure[0].mean() - 0.1


@given(st.floats(0.05, 5), st.integers(0, 99))
def test_a_mixed_target_is_the_mix_of_losses(alpha: float, seed: int) -> None:
    """Cross entropy is linear in its target, so two whole targets and their shares are one soft target."""
    rng = torch.Generator().manual_seed(seed)
    x, y = torch.rand(7, 4, generator=rng), torch.randint(0, 3, (7,), generator=rng)
    batch = framework.Batch(x, y, np.arange(7), Split(x.numpy(), y.numpy()))
    rows, others, share = mixed(batch, alpha, np.random.default_rng(seed))
    assert rows.shape == x.shape and 0 <= share <= 1
    torch.testing.assert_close(rows.mean(0), x.mean(0))  # mixing within a batch keeps its mean
    answer, judge = torch.randn(7, 3, generator=rng), ClassLoss("logits", np.arange(3))
    soft = share * functional.one_hot(y, 3) + (1 - share) * functional.one_hot(others, 3)
    expected = functional.cross_entropy(answer, soft.float())
    assert float(share * judge(answer, y) + (1 - share) * judge(answer, others)) == pytest.approx(float(expected), 1e-3)


def test_mixed_pixels_stay_pixels() -> None:
    x = torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4)
    batch = framework.Batch(x, torch.zeros(3), np.arange(3), Split(x.numpy(), np.zeros(3)))
    rows, _, share = mixed(batch, 1.0, np.random.default_rng(0))
    assert rows.dtype == torch.uint8 and 0 < share < 1 and not torch.equal(rows, x)
    assert rows.max() <= x.max()


def test_dropout_drops_before_the_head_in_training_only_and_leaves_no_trace() -> None:
    start = apply(TorchMlp((64,)), digits(rows=200))
    rows = torch.from_numpy(start.prepare.transform(start.rows.val.x))  # type: ignore[union-attr]
    module, names = start.model, [name for name, _ in start.model.named_modules()]
    expected = module(rows)
    with dropping(module, 0.5, rows[:2]):
        torch.testing.assert_close(module(rows), expected)
        module.train()
        assert not torch.allclose(module(rows), expected)
        drawn = torch.stack([module(rows) for _ in range(2000)]).mean(0)
        module.eval()
    torch.testing.assert_close(drawn, expected, atol=0.06, rtol=0.05)  # its mean is the answer without it
    module.train()
    torch.testing.assert_close(module(rows), expected)
    assert [name for name, _ in module.named_modules()] == names


def test_dropout_sets_the_layers_there_are_and_sets_them_back() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.3), nn.Linear(8, 2)).eval()
    with dropping(module, 0.0, torch.zeros(2, 8)):
        module.train()
        x = torch.randn(4, 8)
        torch.testing.assert_close(module(x), module.eval()(x))
        assert module[1].p == 0
    assert module[1].p == 0.3


def test_dropout_reaches_training() -> None:
    start = apply(TorchMlp((16,)), digits(rows=300))
    plain, dropped = (apply(FineTune(epochs=1, dropout=p), start) for p in (None, 0.5))
    first, second = (next(one.model.parameters()).detach() for one in (plain, dropped))
    assert not torch.equal(first, second)
    assert [type(m) for m in dropped.model.modules()] == [type(m) for m in start.model.modules()]


class NoLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(64, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float() @ self.weight


def given_module(module: nn.Module, **changes: object) -> Workload:
    return replace(digits(rows=200), model=module.eval(), form="torch", **changes)  # type: ignore[arg-type]


def test_what_cannot_be_regularised_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match="dropout has no place"):
        apply(FineTune(dropout=0.5), given_module(NoLayer()))
    with pytest.raises(TrialFailed, match=r"label_smoothing.*regression"):
        apply(Train(label_smoothing=0.1), apply(TorchMlp((4,)), incomes(200)))
    hooks = framework.Hooks(loss=lambda answer, batch, own: own())
    with pytest.raises(TrialFailed, match="mixup needs the workload's own loss"):
        framework.fit(apply(TorchMlp((4,)), digits(rows=200)), FineTune(mixup=0.2), hooks=hooks)
    start = given_module(NoLayer())
    parts = (replace(part, x=part.x.astype(np.int64)) for part in (start.rows.train, start.rows.val))  # type: ignore[union-attr]
    train, val = parts
    with pytest.raises(TrialFailed, match="int64 rows may be codes"):
        apply(FineTune(mixup=0.2), replace(start, data=replace(start.rows, train=train, val=val)))


@pytest.mark.parametrize("kind", [Train, FineTune])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": 20.0}, r"did you mean 0\.2"),
        ({"label_smoothing": -0.1}, "label_smoothing"),
        ({"label_smoothing": float("nan")}, "label_smoothing"),
        ({"mixup": -1.0}, "mixup"),
    ],
)
def test_parameters_are_checked(kind: type[Train], wrong: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        kind(**wrong)


def test_images_learn_with_all_of_it() -> None:
    start = apply(SmallCnn(8), digits("image", 1000))
    plan = Train(epochs=14, learning_rate=0.01, batch=32, shift=1, dropout=0.1, label_smoothing=0.05, mixup=0.1)
    made = apply(plan, start)
    scores = framework.scores(made, made.rows.val.x)
    assert made.quality(made.rows.val.y, scores.argmax(1)) > 0.8
