"""Every classical model keeps the contract, on classes, on named columns and on values."""

from __future__ import annotations

import pytest

from trimwatt.technique._base import Technique
from trimwatt.technique.classical import Boosted, ExtraTrees, Forest, Linear, Mlp, Neighbours, Tree
from trimwatt.testing import samples
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Workload

_KINDS = [
    Linear(), Tree(), Forest(trees=8), Boosted(rounds=6, leaves=8), ExtraTrees(trees=8), Neighbours(),
    Mlp(hidden=(8,), epochs=30),
]  # fmt: skip


@pytest.fixture(scope="module", params=_KINDS, ids=lambda kind: kind.name)
def technique(request: pytest.FixtureRequest) -> Technique:
    kind: Technique = request.param
    return kind


class TestOnDigits(TechniqueContract):
    @pytest.fixture
    def workload(self) -> Workload:
        return samples.digits(rows=300)


class TestOnNamedColumns(TechniqueContract):
    @pytest.fixture
    def workload(self) -> Workload:
        return samples.people(rows=400)


class TestOnValues(TechniqueContract):
    @pytest.fixture
    def workload(self) -> Workload:
        return samples.incomes(rows=400)
