"""Distillation: the contract, what its loss and its students must be by mathematics, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.torch.run import tensor
from trimwatt.technique import apply
from trimwatt.technique.architecture import SmallCnn, TorchMlp
from trimwatt.technique.classical import Forest, Linear
from trimwatt.technique.distill import Distill, DistillTree, Ensemble
from trimwatt.technique.distill._losses import attention, softened
from trimwatt.technique.distill._teacher import fidelity, held
from trimwatt.technique.distill.tree import spread
from trimwatt.technique.lower import Lower
from trimwatt.technique.train import Train
from trimwatt.testing import samples
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Data, Split, Workload

SMALL = (("hidden", (8,)),)


@cache
def forest() -> Workload:
    return apply(Forest(trees=20), samples.digits(rows=500))


@cache
def values() -> Workload:
    return apply(Forest(trees=10), samples.incomes(rows=400))


class TestFromForest(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Distill:
        return Distill(parameters=SMALL, epochs=2)

    @pytest.fixture
    def workload(self) -> Workload:
        return forest()


class TestValues(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Distill:
        return Distill(parameters=SMALL, epochs=2, weight=1.0)

    @pytest.fixture
    def workload(self) -> Workload:
        return values()


class TestTree(TechniqueContract):
    @pytest.fixture(params=["tree", "forest", "boosted"])
    def technique(self, request: pytest.FixtureRequest) -> DistillTree:
        return DistillTree(student=request.param, depth=6, trees=5)

    @pytest.fixture
    def workload(self) -> Workload:
        return forest()


class TestTreeOfValues(TechniqueContract):
    @pytest.fixture
    def technique(self) -> DistillTree:
        return DistillTree()

    @pytest.fixture
    def workload(self) -> Workload:
        return values()


class TestEnsemble(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Ensemble:
        return Ensemble(parameters=SMALL, members=2, epochs=2)

    @pytest.fixture
    def workload(self) -> Workload:
        return samples.digits(rows=300)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(1, 20))
def test_the_softened_loss_is_zero_for_equals_and_keeps_its_gradient_at_any_temperature(seed: int, t: float) -> None:
    """Hinton et al., section 2.1: for T large, the gradient of T^2 KL is (z - v) / k, free of T, for centred logits."""
    rng = torch.Generator().manual_seed(seed)
    v, z = (0.02 * torch.randn(4, 5, generator=rng, dtype=torch.float64) for _ in range(2))
    v, z = v - v.mean(1, keepdim=True), (z - z.mean(1, keepdim=True)).requires_grad_()
    same = softened(z.detach(), z.detach().softmax(1), t)
    assert float(same) == pytest.approx(0, abs=1e-9)
    (gradient,) = torch.autograd.grad(softened(z, v.softmax(1), t), z)
    torch.testing.assert_close(gradient * len(z), (z.detach() - v) / 5, atol=2e-4, rtol=0.05)


def test_without_the_teachers_weight_it_is_plain_training() -> None:
    plan = {"epochs": 3, "batch": 32}
    taught = apply(Distill(weight=0.0, parameters=SMALL, **plan), forest())  # type: ignore[arg-type]
    plain = apply(Train(**plan), apply(TorchMlp((8,)), forest()))  # type: ignore[arg-type]
    for one, other in zip(taught.model.state_dict().values(), plain.model.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_linear_student_recovers_a_linear_teacher() -> None:
    """Taught by answers alone, labels shuffled: what it learns can only come from its teacher."""
    # more rows than a linear map has unknowns, or it would not be determined
    teacher = apply(Linear(), samples.digits(rows=1700))
    data = teacher.rows
    rng = np.random.default_rng(0)
    noisy = replace(teacher, data=replace(data, train=Split(data.train.x, rng.permutation(data.train.y))))
    step = Distill(
        parameters=(("hidden", ()),), weight=1.0, temperature=1.0, epochs=150, learning_rate=0.03, patience=None,
        weight_decay=0.0, larger=True,
    )  # fmt: skip
    student = apply(step, noisy)
    assert fidelity(teacher, student, data.val.x) > 0.95


@pytest.mark.parametrize("match", ["features", "attention"])
def test_matched_features_are_those_of_the_teacher(match: str) -> None:
    """The student ends nearer to its teacher's maps than the same student taught by answers alone."""
    teacher = apply(Train(epochs=2), apply(SmallCnn(width=8), pictures()))
    plan = {"parameters": (("width", 4),), "epochs": 4, "weight": 0.5, "flip": False, "shift": 0}
    taught = apply(Distill(match=match, match_weight=50.0, **plan), teacher)  # type: ignore[arg-type]
    plain = apply(Distill(**plan), teacher)  # type: ignore[arg-type]
    assert not taught.model[-1]._forward_hooks and not any(m._forward_hooks for m in taught.model.modules())
    if match == "attention":
        maps = [attention(last_map(work)) for work in (teacher, taught, plain)]
        apart = [float((maps[0] - m).pow(2).sum(1).mean()) for m in maps[1:]]
        assert apart[0] < apart[1]


def pictures(rows: int = 200) -> Workload:
    work = samples.digits(rows=rows)
    data = work.rows

    def images(split: Split) -> Split:
        return Split((np.asarray(split.x) * 15).astype(np.uint8).reshape(-1, 8, 8), split.y)

    return replace(work, data=Data(*(images(s) for s in (data.train, data.val, data.test)), "image", data.classes))


def last_map(work: Workload) -> torch.Tensor:
    module = work.model
    with torch.no_grad():
        maps: torch.Tensor = module[:-3](tensor(work, work.rows.val.x))
    return maps


def test_the_same_network_started_anew_learns_from_itself() -> None:
    teacher = apply(Train(epochs=15, learning_rate=0.01), apply(TorchMlp((16,)), samples.digits(rows=500)))
    student = apply(Distill(student="same", epochs=15, learning_rate=0.01), teacher)
    assert fidelity(teacher, student, held(teacher).x) > 0.8
    first = (next(iter(work.model.state_dict().values())) for work in (teacher, student))
    assert not torch.allclose(*first)


def test_any_onnx_file_teaches() -> None:
    teacher = apply(Lower(), forest())
    student = apply(Distill(epochs=25, learning_rate=0.01, parameters=(("hidden", (32,)),)), teacher)
    assert teacher.form == "onnx" and student.form == "torch"
    assert fidelity(teacher, student, teacher.rows.val.x) > 0.8


@pytest.mark.parametrize("channels", [1, 3])
def test_a_student_sees_pictures_with_their_channels_first_as_those_with_them_last(channels: int) -> None:
    work = pictures(100)

    def stored(first: bool) -> Workload:
        def placed(split: Split) -> Split:
            rows = np.stack([np.asarray(split.x) + n for n in range(channels)], axis=1 if first else 3)
            return Split(rows, split.y)

        data = work.rows
        splits = (placed(s) for s in (data.train, data.val, data.test))
        return replace(work, data=Data(*splits, "image", data.classes))

    answers = []
    for first in (False, True):
        teacher = apply(Linear(), stored(first))
        plain = apply(
            Distill(student="small-cnn", parameters=(("width", 4),), epochs=2, weight=0.0, larger=True), teacher
        )
        assert tensor(plain, plain.rows.val.x).shape[1:] == (channels, 8, 8)
        answers.append(plain.model(tensor(plain, plain.rows.val.x)))
    torch.testing.assert_close(answers[1], answers[0])


def test_unlabelled_rows_are_learned_from() -> None:
    """Few labelled rows and many without: the student follows its teacher further with them than without."""
    teacher = forest()
    data, rng = teacher.rows, np.random.default_rng(0)
    few = replace(data, train=data.train.take(np.sort(rng.permutation(len(data.train))[:40])))
    step = DistillTree(student="forest", trees=10)
    alone = apply(step, replace(teacher, data=few))
    more = apply(step, replace(teacher, data=replace(few, unlabelled=data.train.x)))
    follows = [fidelity(teacher, student, data.val.x) for student in (alone, more)]
    assert follows[1] > follows[0] + 0.03


@given(st.integers(0, 1000))
def test_spread_rows_weigh_one_each(seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.full(6, 0.3), 20)
    rows, codes, weights = spread(p)
    np.testing.assert_allclose(np.bincount(rows, weights), 1)
    assert set(zip(rows[weights > 0.5], codes[weights > 0.5], strict=True)) <= set(enumerate(p.argmax(1)))


def test_an_ensembles_answer_is_the_mean_of_its_members() -> None:
    made = apply(Ensemble(parameters=SMALL, members=2, epochs=2), samples.digits(rows=300))
    rows = tensor(made, made.rows.val.x)
    with torch.no_grad():
        said = [member(rows).softmax(1) for member in made.model.members]
        torch.testing.assert_close(made.model(rows), (said[0] + said[1]) / 2)
    assert not torch.allclose(said[0], said[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0.0}, "temperature is above zero, got 0"),
        ({"weight": 1.5}, r"share of the loss, in \[0, 1\], got 1.5"),
        ({"match": "smell"}, "match is answers, features, attention, got 'smell'"),
        ({"match_weight": -1.0}, "match_weight is a number from 0"),
    ],
)
def test_wrong_parameters_are_explained(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Distill(**wrong)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(TrialFailed, match=r"the student has [\d,]+ parameters, its teacher [\d,]+; take a narrower"):
        apply(Distill(parameters=(("hidden", (512, 512)),)), apply(Linear(), samples.digits(rows=200)))
    with pytest.raises(TrialFailed, match="only a PyTorch network can be its own student"):
        apply(Distill(student="same"), forest())
    with pytest.raises(TrialFailed, match="features are matched between networks only"):
        apply(Distill(match="features", larger=True), forest())
    with pytest.raises(InputError, match="student is an architecture"):
        apply(Distill(student="forest"), forest())
    with pytest.raises(InputError, match="members are two or more"):
        Ensemble(members=1)
