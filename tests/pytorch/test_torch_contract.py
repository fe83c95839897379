"""Every PyTorch technique and the runtime, held to the public contracts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from trimwatt.runtime._base import Runtime
from trimwatt.runtime.torch import TorchRuntime
from trimwatt.scenario import Scenario
from trimwatt.technique._base import Technique, apply
from trimwatt.technique.architecture import SmallCnn, SmallResNet, TorchMlp
from trimwatt.technique.prune.blocks import PruneBlocks
from trimwatt.technique.prune.channels import PruneChannels
from trimwatt.technique.train import FineTune, Train
from trimwatt.testing.runtime import RuntimeContract
from trimwatt.testing.samples import digits, incomes, people
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Decide, Workload


def images() -> Workload:
    """Digits as images with an untrained residual network."""
    return apply(SmallResNet(width=8, blocks=2), digits("image", 300))


def given() -> Workload:
    """Digits as images with a module as a user gives it: rows as stored, scaling inside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10),
        )  # fmt: skip
    data = digits("image", 300)
    classes = data.rows.classes or ()
    return replace(data, model=model.double().eval(), form="torch", decide=Decide(classes))


class TestTrain(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return Train(epochs=2)

    @pytest.fixture
    def workload(self) -> Workload:
        return apply(TorchMlp(), people())


class TestTrainValues(TestTrain):
    @pytest.fixture
    def workload(self) -> Workload:
        return apply(TorchMlp((8,)), incomes())


class TestFineTune(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return FineTune(epochs=1, flip=True, shift=1)

    @pytest.fixture
    def workload(self) -> Workload:
        return images()


class TestPruneChannels(TechniqueContract):
    @pytest.fixture(params=[PruneChannels(round_to=4), PruneChannels(0.5, "all", "bn", 4)])
    def technique(self, request: pytest.FixtureRequest) -> Technique:
        return request.param  # type: ignore[no-any-return]

    @pytest.fixture
    def workload(self) -> Workload:
        return images()


class TestPruneBlocks(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return PruneBlocks()

    @pytest.fixture
    def workload(self) -> Workload:
        return images()


class TestTorchMlp(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return TorchMlp((16,))

    @pytest.fixture(params=[digits, people, incomes])
    def workload(self, request: pytest.FixtureRequest) -> Workload:
        return request.param()  # type: ignore[no-any-return]


class TestSmallCnn(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return SmallCnn(8)

    @pytest.fixture
    def workload(self) -> Workload:
        return digits("image")


class TestSmallResNet(TestSmallCnn):
    @pytest.fixture
    def technique(self) -> Technique:
        return SmallResNet(8)


class TestRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return TorchRuntime()

    @pytest.fixture(params=["images", "given", "people", "values"])
    def workload(self, request: pytest.FixtureRequest) -> Workload:
        if request.param == "people":
            told = people(request="frame")
            made = apply(TorchMlp((8,)), told)
            return replace(made, decide=replace(told.decide, threshold=0.3))  # type: ignore[type-var]
        if request.param == "values":
            return replace(apply(TorchMlp((8,)), incomes()), scenario=Scenario(request="dict"))
        return images() if request.param == "images" else given()
