"""Weights in 16 bits: the contract, how far they round, what stays as it is."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from trimwatt import framework
from trimwatt import runtime as runtimes
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import lower
from trimwatt.technique import apply
from trimwatt.technique.precision.half import Half, rounded
from trimwatt.technique.quantize import StaticInt8
from trimwatt.testing import samples
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Workload


@cache
def network() -> Workload:
    """scikit-learn's MLP on digits, lowered."""
    from sklearn.neural_network import MLPClassifier

    given = samples.digits()
    train = given.rows.train
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier((48, 24), max_iter=40, random_state=0).fit(train.x, train.y)
    return lower(replace(given, model=model, form="sklearn", outputs="probabilities"))


class TestContract(TechniqueContract):
    @pytest.fixture(params=["float16", "bfloat16"])
    def technique(self, request: pytest.FixtureRequest) -> Half:
        return Half(request.param)

    @pytest.fixture
    def workload(self) -> Workload:
        return network()


def test_bfloat16_rounds_as_pytorch_does() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=5000) * 10.0 ** rng.integers(-20, 20, 5000)).astype(np.float32)
    x = np.concatenate([x, np.float32([0, -0.0, 1, 1 + 2**-8, 1 + 3 * 2**-8, 3e38])])
    wanted = torch.from_numpy(x).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    assert (rounded(x) == wanted).all()


@pytest.mark.parametrize(("precision", "bits"), [("float16", 11), ("bfloat16", 8)])
def test_weights_are_off_by_half_a_unit_in_the_last_place(precision: str, bits: int) -> None:
    before, after = network(), apply(Half(precision), network())
    was = {a.shape: a for a in map(onnx.numpy_helper.to_array, _constants(before)) if a.size > 64}
    # folding at opening gives the weights back as they are computed with
    from trimwatt.technique import _graph

    now = {a.shape: a for a in _graph.arrays(_graph.tidy(after.model).graph).values() if a.size > 64}
    assert was.keys() == now.keys() and was
    for shape, weight in was.items():
        off = np.abs(now[shape] - weight)
        assert (off <= np.abs(weight) * 2.0**-bits + 2.0**-25).all() and off.any()
    rows = before.rows.val.x
    old, new = (framework.get("onnx").scores(work, rows) for work in (before, after))
    assert np.abs(old - new).max() < 2.0 ** (4 - bits)


def _constants(work: Workload) -> list[onnx.TensorProto]:
    return list(onnx.load_model_from_string(work.model).graph.initializer)


def test_the_file_is_half_as_large_and_opens_to_the_same_operators(tmp_path: Path) -> None:
    import onnxruntime as ort

    found = []
    for work in (network(), apply(Half(), network())):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(tmp_path / "run.onnx")
        ort.InferenceSession(work.model, options, providers=["CPUExecutionProvider"])
        found.append([node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node])
    assert found[0] == found[1]
    assert len(apply(Half(), network()).model) < 0.6 * len(network().model)


def test_weights_beyond_float16_stay() -> None:
    model = onnx.load_model_from_string(network().model)
    large = next(t for t in model.graph.initializer if onnx.numpy_helper.to_array(t).size > 64)
    large.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(large) * np.float32(1e6), large.name))
    odd = replace(network(), model=model.SerializeToString())
    kinds = [t.data_type for t in _constants(apply(Half(), odd)) if np.prod(t.dims) > 64]
    assert sorted(kinds) == [1, 10, 10]
    assert all(
        kind == 16 for kind in (t.data_type for t in _constants(apply(Half("bfloat16"), odd)) if np.prod(t.dims) > 64)
    )


def test_what_is_int8_already_has_nothing_to_halve() -> None:
    small = apply(StaticInt8(calibration_rows=50), network())
    with pytest.raises(TrialFailed, match="no weights of 32 bits"):
        apply(Half(), small)


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(InputError, match="precision is 'float16' or 'bfloat16', got 'int8'"):
        Half("int8")


def test_it_deploys(tmp_path: Path) -> None:
    work, kind = apply(Half("bfloat16"), network()), runtimes.get("onnxruntime")
    session = kind.open(kind.export(work, tmp_path), work.scenario)
    assert set(session.predict(work.rows.val.x).tolist()) <= set(range(10))
