"""Training: what it must reach, what it must leave alone, and the facts that its parts rest on."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trimwatt import metric
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import torch as framework
from trimwatt.framework.torch import augment, loss
from trimwatt.framework.torch.recalibrate import recalibrate_
from trimwatt.framework.torch.run import tensor, threads
from trimwatt.tasks._losses import ClassLoss
from trimwatt.technique._base import apply
from trimwatt.technique.architecture import SmallCnn, TorchMlp
from trimwatt.technique.train import FineTune, Train
from trimwatt.testing.samples import digits
from trimwatt.workload import Array, Data, Decide, Split, Workload

fit = importlib.import_module("trimwatt.framework.torch.fit")


def separable(n: int = 400) -> Workload:
    """Two classes on either side of a line, with a gap between."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    x += np.where(y[:, None] == 1, 0.3, -0.3).astype(np.float32)
    part = Split(x, y)
    return Workload(Data(part, part, part, classes=("a", "b")), metric=metric.get("accuracy"))


def values(n: int = 500, far: float = 1e5, wide: float = 1e4) -> Workload:
    """A line in one column of three, far from zero."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    part = Split(x, far + wide * x[:, 0].astype(np.float64))
    return Workload(Data(part, part, part), "regression", metric.get("r2"), outputs="values")


def quality(workload: Workload) -> float:
    rows = workload.rows.val
    scores = framework.scores(workload, rows.x)
    return workload.quality(rows.y, scores if workload.task.target == "value" else scores.argmax(1))


def weights(workload: Workload) -> Array:
    return np.concatenate([p.detach().numpy().ravel() for p in workload.model.state_dict().values()])


def test_separable_classes_are_separated() -> None:
    assert quality(apply(Train(epochs=30, learning_rate=0.01), apply(TorchMlp((16,)), separable()))) == 1.0


def test_values_far_from_zero_are_learned_and_the_scale_is_folded() -> None:
    start = apply(TorchMlp((16,)), values())
    after = apply(Train(epochs=30, learning_rate=0.01), start)
    assert quality(after) > 0.99
    assert framework.parameters(after) == framework.parameters(start)


class Bounded(nn.Module):
    """Ends in something that no scale can be folded into."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.dense(x)) * 3


def test_a_scale_that_cannot_be_folded_becomes_a_layer() -> None:
    start = replace(values(), model=Bounded().eval(), form="torch")
    assert quality(apply(Train(epochs=30, learning_rate=0.03), start)) > 0.95


def test_fine_tuning_keeps_the_unit_of_values() -> None:
    trained = apply(Train(epochs=20, learning_rate=0.01), apply(TorchMlp((16,)), values()))
    assert quality(apply(FineTune(epochs=1, learning_rate=1e-4), trained)) > 0.98


def test_no_epochs_change_nothing() -> None:
    start = apply(TorchMlp(), separable())
    for step in (FineTune(epochs=0), Train(epochs=0)):
        np.testing.assert_array_equal(weights(apply(step, start)), weights(start))


def test_a_ruinous_rate_is_undone_by_the_best_epoch() -> None:
    good = apply(Train(epochs=15, learning_rate=0.01), apply(TorchMlp((32,)), digits()))
    after = apply(FineTune(epochs=1, learning_rate=100.0), good)
    assert quality(after) == quality(good) > 0.8
    np.testing.assert_array_equal(weights(after), weights(good))


def test_a_loss_that_overflows_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match=r"diverged.*lower the learning rate"):
        apply(FineTune(epochs=3, learning_rate=1e30, optimizer="sgd"), apply(TorchMlp(), values()))


def network() -> Workload:
    return apply(TorchMlp((8,)), separable())


def test_a_loss_in_place_of_the_own_is_what_is_minimised() -> None:
    """Answers are driven to a constant that has nothing to do with the targets; rows are told by where they stand."""
    work = network()
    seen: list[float] = []

    def to_one(answer: torch.Tensor, batch: framework.Batch, own: object) -> torch.Tensor:
        seen.append(float((tensor(work, batch.split.take(batch.index).x) - batch.x).abs().max()))
        return ((answer - 1) ** 2).mean()

    model = framework.fit(work, Train(epochs=60, learning_rate=0.03, patience=None), hooks=framework.Hooks(loss=to_one))
    answers = model(tensor(work, work.rows.val.x)).detach()
    assert max(seen) == 0 and float((answers - 1).abs().mean()) < 0.1


def test_a_penalty_shrinks_weights_and_the_last_epoch_is_kept_where_asked() -> None:
    def total(module: nn.Module) -> torch.Tensor:
        return torch.stack([p.abs().sum() for p in module.parameters()]).sum()

    plan = FineTune(epochs=15, learning_rate=0.01)
    last = framework.fit(network(), plan, hooks=framework.Hooks(penalty=total, keep_last=True))
    best = framework.fit(network(), plan)
    assert float(total(last).detach()) < 0.3 * float(total(best).detach())


def test_steps_are_told_up_to_the_last_and_the_module_may_be_wrapped() -> None:
    shares: list[float] = []

    def wrap(module: nn.Module) -> nn.Module:
        return nn.Sequential(module)

    hooks = framework.Hooks(prepare=wrap, after_step=lambda module, share: shares.append(share))
    made = framework.fit(network(), FineTune(epochs=2), hooks=hooks)
    assert isinstance(made, nn.Sequential)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0) and shares[0] > 0


def test_nothing_to_train_fails_the_trial() -> None:
    start = apply(TorchMlp(), separable())
    start.model.requires_grad_(False)
    with pytest.raises(TrialFailed, match="nothing to train"):
        apply(FineTune(), start)


def test_patience_ends_training_and_time_does() -> None:
    start = apply(TorchMlp(), separable())
    still = apply(FineTune(epochs=10_000, learning_rate=1e-30, patience=2, weight_decay=0), start)
    np.testing.assert_allclose(weights(still), weights(start))
    apply(Train(epochs=100_000, patience=None, max_seconds=0.5), start)


def test_the_process_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with threads(1):
        apply(Train(epochs=1), apply(TorchMlp(), separable()))
        assert torch.get_num_threads() == 1
    assert torch.equal(torch.rand(3), expected)


def test_rows_too_many_to_prepare_at_once_train_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    start = apply(SmallCnn(8), digits("image", 300))
    whole = apply(Train(epochs=2, shift=1), start)
    monkeypatch.setattr(fit, "MOST_BYTES", 0)
    np.testing.assert_allclose(weights(apply(Train(epochs=2, shift=1), start)), weights(whole), rtol=1e-5)


def test_half_precision_learns_too() -> None:
    start = apply(TorchMlp((16,)), separable())
    assert quality(apply(Train(epochs=30, learning_rate=0.01, precision="bfloat16"), start)) > 0.98


def test_images_are_learned_with_shifts() -> None:
    start = apply(SmallCnn(8), digits("image", 1000))
    assert quality(apply(Train(epochs=12, learning_rate=0.01, batch=32, shift=1), start)) > 0.85


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epochs": -1}, "epochs"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"optimizer": "adam"}, "adamw or sgd"),
        ({"precision": "half"}, "bfloat16 or float16"),
        ({"patience": 0}, "patience"),
        ({"max_seconds": 0.0}, "max_seconds"),
    ],
)
def test_parameters_are_checked(wrong: dict[str, object], said: str) -> None:
    for kind in (Train, FineTune):
        with pytest.raises(InputError, match=said):
            kind(**wrong)  # type: ignore[arg-type]


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=20), st.data())
def test_one_logit_is_two_of_which_one_is_zero(logits: list[float], data: st.DataObject) -> None:
    targets = torch.tensor(data.draw(st.lists(st.integers(0, 1), min_size=len(logits), max_size=len(logits))))
    one = torch.tensor(logits).reshape(-1, 1)
    two = torch.cat([torch.zeros_like(one), one], dim=1)
    columns = np.arange(2)
    single, double = (ClassLoss("logits", columns)(answer, targets) for answer in (one, two))
    share = ClassLoss("probabilities", columns)(torch.softmax(two, 1), targets)
    assert float(single) == pytest.approx(float(double), abs=1e-5)
    assert float(share) == pytest.approx(float(double), rel=1e-3, abs=1e-4)


def test_columns_in_another_order_are_told_by_class_columns() -> None:
    base = separable()
    swapped = replace(apply(TorchMlp((16,)), base), class_columns=(1, 0))
    criterion = loss.criterion(swapped, base.rows.train.y, from_scratch=True)
    np.testing.assert_array_equal(criterion.targets(np.array([0, 1, 1])), [1, 0, 0])
    assert quality(apply(Train(epochs=30, learning_rate=0.01), swapped)) == 1.0


def test_a_class_without_a_column_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match="no column"):
        ClassLoss("logits", np.array([0, -1])).targets(np.array([0, 1]))


@given(st.integers(1, 300), st.floats(1e-5, 1))
def test_rates_rise_to_the_peak_and_fall_to_nothing(steps: int, peak: float) -> None:
    rates = list(fit._schedule(peak, steps))
    assert len(rates) == steps
    assert max(rates) <= peak * (1 + 1e-9)
    top = int(np.argmax(rates))
    assert np.all(np.diff(rates[: top + 1]) >= 0) and np.all(np.diff(rates[top:]) <= 0)
    assert steps < 3 or rates[-1] == pytest.approx(0, abs=1e-9)


@given(st.booleans(), st.integers(0, 3), st.sampled_from([(1, 2), (2, 3)]), st.integers(0, 99))
def test_moved_images_hold_only_their_own_pixels(flip: bool, shift: int, axes: tuple[int, int], seed: int) -> None:
    shape = (4, 6, 7, 3) if axes == (1, 2) else (4, 3, 6, 7)
    images = torch.arange(4 * 6 * 7 * 3).reshape(shape)
    moved = augment.moved(images, axes, flip, shift, np.random.default_rng(seed))
    assert moved.shape == images.shape and moved.dtype == images.dtype
    for before, after in zip(images, moved, strict=True):
        assert set(after.ravel().tolist()) <= set(before.ravel().tolist())
    if not flip and not shift:
        assert torch.equal(moved, images)
    if not shift:
        wide = axes[1]
        for before, after in zip(images, moved, strict=True):
            assert torch.equal(after, before) or torch.equal(after, before.flip(wide - 1))


def test_flips_mirror_about_half_of_the_images() -> None:
    images = torch.arange(200 * 6).reshape(200, 2, 3)
    moved = augment.moved(images, (1, 2), True, 0, np.random.default_rng(0))
    mirrored = sum(torch.equal(after, before.flip(1)) for before, after in zip(images, moved, strict=True))
    assert 70 < mirrored < 130


def test_tables_are_not_mirrored() -> None:
    with pytest.raises(TrialFailed, match="need images"):
        apply(FineTune(flip=True), apply(TorchMlp(), separable()))
    with pytest.raises(TrialFailed, match="need images"):
        apply(FineTune(shift=1), apply(TorchMlp(), digits("image")))


def moves(workload: Workload, flip: bool | None, shift: int | None, hurts: bool) -> augment.Moves | None:
    return augment.moves(workload, flip, shift, lambda axes: hurts)


def test_images_are_moved_as_suits_them_unless_told() -> None:
    small, dense = apply(SmallCnn(8), digits("image")), apply(TorchMlp(), digits("image"))
    rows = np.zeros((4, 32, 48, 3), dtype=np.uint8)
    part = Split(rows, np.array([0, 1, 0, 1]))
    large = replace(small, data=Data(part, part, part, "image", (0, 1)), prepare=None)
    assert moves(large, None, None, hurts=False) == augment.Moves((1, 2), True, 2)
    assert moves(large, None, None, hurts=True) == augment.Moves((1, 2), False, 2)
    assert moves(large, False, 0, hurts=False) is None
    assert moves(large, True, 3, hurts=True) == augment.Moves((1, 2), True, 3)
    assert moves(small, None, None, hurts=True) is None, "8 pixels are too few to move"
    assert moves(small, None, None, hurts=False) == augment.Moves((2, 3), True, 0)
    assert moves(dense, None, None, hurts=False) is None
    assert moves(apply(TorchMlp(), separable()), None, None, hurts=False) is None


@pytest.mark.parametrize(("bright", "hurts"), [((slice(0, 3), slice(5, 8)), True), ((slice(0, 8), slice(2, 6)), False)])
def test_a_network_says_whether_mirrored_images_mean_the_same(bright: tuple[slice, slice], hurts: bool) -> None:
    images = np.random.default_rng(0).normal(0, 0.1, (400, 8, 8)).astype(np.float32)
    y = np.arange(400) % 2
    for label, columns in enumerate(bright):
        images[y == label, :, columns] += 3
    part = Split(images, y)
    base = Workload(Data(part, part, part, "image", ("a", "b")), metric=metric.get("accuracy"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    step = Train(epochs=10, learning_rate=0.01, flip=False, shift=0)
    trained = apply(step, replace(base, model=model, form="torch"))
    criterion = loss.criterion(trained, y, from_scratch=False)
    run = fit._Run(trained, FineTune(), trained.model, criterion, framework.Hooks())
    assert run._mirror_hurts(fit.Rows(trained, part, criterion), (1, 2)) is hurts


def test_recalibration_finds_the_statistics_of_the_rows() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (1000, 4)).astype(np.float32))
    layer = nn.BatchNorm1d(4)
    recalibrate_(layer, rows)
    assert layer.momentum == 0.1 and not layer.training
    mean, variance = (part.numpy() for part in (layer.running_mean, layer.running_var) if part is not None)
    np.testing.assert_allclose(mean, rows.mean(0), atol=1e-4)
    np.testing.assert_allclose(variance, rows.var(0), rtol=0.05)


def test_decide_stands_beside_a_new_network() -> None:
    assert apply(TorchMlp(), separable()).decide == Decide(("a", "b"))
