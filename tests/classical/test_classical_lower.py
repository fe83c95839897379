"""Lowering as a step of a recipe."""

from __future__ import annotations

import pytest

from trimwatt.technique._base import Technique, apply
from trimwatt.technique.classical import Forest, Mlp
from trimwatt.technique.lower import Lower
from trimwatt.testing import samples
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Workload


class TestContract(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return Lower()

    @pytest.fixture(params=["sklearn", "onnx", "values"])
    def workload(self, request: pytest.FixtureRequest) -> Workload:
        if request.param == "values":
            return apply(Mlp(hidden=(8,), epochs=20), samples.incomes(rows=300))
        fitted = apply(Forest(trees=3), samples.digits(rows=300))
        return apply(Lower(), fitted) if request.param == "onnx" else fitted
