"""ONNX Runtime and scikit-learn keep the contract of a runtime, on arrays, images, named columns and values."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from trimwatt.framework.onnx import lower
from trimwatt.runtime._base import Runtime
from trimwatt.runtime.onnxruntime import OnnxRuntime
from trimwatt.runtime.sklearn import SklearnRuntime
from trimwatt.technique._base import apply
from trimwatt.technique.classical import Boosted, Forest, Linear, Mlp
from trimwatt.technique.threshold import Threshold
from trimwatt.testing import samples
from trimwatt.testing.runtime import RuntimeContract
from trimwatt.workload import Workload


@cache
def _fitted(name: str) -> Workload:
    """A job of each kind that rows and answers come in."""
    made = {
        "digits": lambda: apply(Forest(trees=5), samples.digits(rows=400)),
        "images": lambda: apply(Mlp(hidden=(16,), epochs=20), samples.digits("image", rows=400)),
        "people": lambda: apply(Threshold(), apply(Boosted(rounds=5), samples.people())),
        "frames": lambda: apply(Linear(), samples.people(request="frame")),
        "incomes": lambda: apply(Linear(), samples.incomes()),
    }
    return made[name]()


_JOBS = ["digits", "images", "people", "frames", "incomes"]


class TestOnnxRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return OnnxRuntime()

    @pytest.fixture(params=_JOBS)
    def workload(self, request: pytest.FixtureRequest) -> Workload:
        return lower(_fitted(request.param))


class TestSklearnRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return SklearnRuntime()

    @pytest.fixture(params=_JOBS)
    def workload(self, request: pytest.FixtureRequest) -> Workload:
        return _fitted(request.param)


class TestSklearnRuntimeOnLabels(RuntimeContract):
    """A pipeline of the user's, fitted on labels, that takes DataFrames."""

    @pytest.fixture
    def runtime(self) -> Runtime:
        return SklearnRuntime()

    @pytest.fixture(params=["dict", "frame"])
    def workload(self, request: pytest.FixtureRequest) -> Workload:
        from sklearn.compose import make_column_transformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder

        from trimwatt.framework.sklearn import adopt

        steps = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["work", "town"]))
        work = samples.people(request=request.param)
        return adopt(replace(work, model=make_pipeline(steps, LogisticRegression())))
