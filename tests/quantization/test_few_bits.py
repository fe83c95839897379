"""Weights of few bits and dynamic int8: contracts, what is exact, what is left in float, what is refused."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import macs, parameters, scores
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import apply
from trimwatt.technique.quantize import DynamicInt8, WeightOnly, _grid
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Array, Workload

sys.path.insert(0, str(Path(__file__).parents[1] / "onnx_techniques"))
from onnx_samples import cnn, dense, job, mlp, model


class TestDynamic(TechniqueContract):
    @pytest.fixture
    def technique(self) -> DynamicInt8:
        return DynamicInt8()

    @pytest.fixture
    def workload(self) -> Workload:
        return mlp()


class TestEightBits(TechniqueContract):
    @pytest.fixture
    def technique(self) -> WeightOnly:
        return WeightOnly()

    @pytest.fixture
    def workload(self) -> Workload:
        return mlp()


class TestFourBits(TestEightBits):
    @pytest.fixture
    def technique(self) -> WeightOnly:
        return WeightOnly(bits=4)


def rows(features: int, n: int = 90) -> Array:
    return np.random.default_rng(2).normal(size=(n, features)).astype(np.float32)


def operators(made: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model_from_string(made).graph.node)


def read_back(made: bytes) -> list[Array]:
    """The weights that each DequantizeLinear gives."""
    graph = onnx.load_model_from_string(made).graph
    known = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            attributes = {a.name: a.i for a in node.attribute}
            levels, step = known[node.input[0]].astype(np.float32), known[node.input[1]]
            if size := attributes.get("block_size"):
                step = np.repeat(step, size, axis=0)[: len(levels)]
            elif attributes["axis"] == 0:
                step = step.reshape(-1, *[1] * (levels.ndim - 1))
            found.append(levels * step)
    return found


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([4, 8]), st.integers(1, 6), st.integers(1, 80), st.integers(0, 10_000))
def test_the_searched_step_is_never_worse_than_the_one_that_spans_all(
    bits: int, out: int, count: int, seed: int
) -> None:
    weights, top = np.random.default_rng(seed).normal(size=(out, count)), _grid.top(bits)
    step = _grid.steps(weights, bits, None)
    rounded = step * _grid.nearest(weights, step, bits)
    widest = np.abs(weights).max(axis=1, keepdims=True) / top
    spanning = widest * np.clip(np.rint(weights / widest), -top, top)
    error, other = (np.square(found - weights).sum(axis=1) for found in (rounded, spanning))
    assert (error <= other * (1 + 1e-4) + 1e-12).all()
    assert (step == step[:, :1]).all()


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("transposed", [True, False])
def test_weights_on_the_grid_are_kept_exactly(bits: int, transposed: bool) -> None:
    rng, most = np.random.default_rng(1), _grid.top(bits)
    levels = rng.integers(-most, most + 1, (48, 16))
    levels[::16] = most
    weights = {"w0": (levels / 8).astype(np.float32), "b0": rng.normal(size=16).astype(np.float32)}
    nodes, _ = dense(0, (48, 16))
    if transposed:
        weights["w0"] = np.ascontiguousarray(weights["w0"].T)
        nodes[0].attribute.append(helper.make_attribute("transB", 1))
    small = apply(WeightOnly(bits=bits, block=16), job(model(nodes, weights, ["n", 48]), rows(48)))
    np.testing.assert_allclose(read_back(small.model)[0], levels / 8, rtol=1e-6)


@pytest.mark.parametrize(("bits", "times"), [(8, 3.6), (4, 6)])
def test_files_shrink_and_what_is_counted_does_not(bits: int, times: float) -> None:
    nodes, weights = dense(3, (256, 128, 4))
    work = job(model(nodes, weights, ["n", 256]), rows(256))
    small = apply(WeightOnly(bits=bits), work)
    assert len(work.model) > times * len(small.model)
    assert macs(small) == macs(work)
    before, after = parameters(work), parameters(small)
    assert before is not None and after is not None and before <= after < 1.1 * before
    assert np.corrcoef(scores(small, rows(256)).ravel(), scores(work, rows(256)).ravel())[0, 1] > 0.97


@pytest.mark.parametrize("bits", [4, 8])
def test_the_runtime_computes_on_packed_weights(bits: int, tmp_path: Path) -> None:
    nodes, weights = dense(3, (64, 32, 32, 4))
    small = apply(WeightOnly(bits=bits), job(model(nodes, weights, ["n", 64]), rows(64)))
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "run.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(small.model, options, providers=["CPUExecutionProvider"])
    run = Counter(n.op_type for n in onnx.load(tmp_path / "run.onnx").graph.node)
    assert run["MatMulNBits"] == 2 and not run["DequantizeLinear"], run


def test_inputs_that_fill_no_whole_block() -> None:
    nodes, weights = dense(3, (50, 40, 4))
    work = job(model(nodes, weights, ["n", 50]), rows(50))
    small = apply(WeightOnly(bits=4), work)
    assert np.abs(read_back(small.model)[0] - weights["w0"]).max() < 0.2 * np.abs(weights["w0"]).max()
    assert np.isfinite(scores(small, rows(50))).all()


@pytest.mark.parametrize("bits", [8, 4])
def test_convolutions_only_where_they_are_asked_for(bits: int, caplog: pytest.LogCaptureFixture) -> None:
    x = np.random.default_rng(1).integers(0, 256, (90, 16, 16, 3)).astype(np.uint8)
    work = job(cnn(["n", 16, 16, 3], (0, 3, 1, 2), 16, 1, 1, grey=False), x)
    with pytest.raises(TrialFailed, match="no dense layer of this model has float weights, 512 or more: "):
        apply(WeightOnly(bits=bits), work)
    with caplog.at_level(logging.INFO, "trimwatt"):
        small = apply(WeightOnly(bits=bits, convolutions=True), work)
    assert "weights left in float: first conv, head" in caplog.text
    assert len(small.model) < 0.6 * len(work.model)
    before, after = (open_session(m).run(None, {"x": x})[0] for m in (work.model, small.model))
    assert np.abs(after - before).max() < (0.01 if bits == 8 else 0.2) * np.ptp(before)


def lstm() -> Workload:
    rng = np.random.default_rng(0)
    weights = {
        "w": (rng.normal(size=(1, 64, 8)) / 3).astype(np.float32),
        "r": (rng.normal(size=(1, 64, 16)) / 4).astype(np.float32),
        "b": np.zeros((1, 128), np.float32),
        "head": rng.normal(size=(16, 4)).astype(np.float32),
        "zero": np.array([0], np.int64),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], name="time first", perm=[1, 0, 2]),
        helper.make_node("LSTM", ["t", "w", "r", "b"], ["", "h"], name="lstm", hidden_size=16),
        helper.make_node("Squeeze", ["h", "zero"], ["last"], name="last"),
        helper.make_node("MatMul", ["last", "head"], ["y"], name="head"),
    ]
    x = rng.normal(size=(60, 12, 8)).astype(np.float32)
    return job(model(nodes, weights, ["n", 12, 8]), x)


def test_an_lstm_runs_on_int8_weights() -> None:
    work = lstm()
    small = apply(DynamicInt8(), work)
    assert operators(small.model)["DynamicQuantizeLSTM"] == 1
    assert len(small.model) < 0.55 * len(work.model)
    x = work.rows.val.x
    np.testing.assert_allclose(scores(small, x), scores(work, x), atol=0.05)


def test_convolutions_stay_in_float_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    x = np.random.default_rng(1).integers(0, 256, (90, 16, 16, 3)).astype(np.uint8)
    work = job(cnn(["n", 16, 16, 3], (0, 3, 1, 2), 16, 1, 1, grey=False), x)
    with caplog.at_level(logging.INFO, "trimwatt"):
        small = apply(DynamicInt8(), work)
    assert "left in float, having no fast dynamic kernel: first conv, second conv" in caplog.text
    assert operators(small.model)["Conv"] == 2 and operators(small.model)["MatMulInteger"] == 1


def test_what_dynamic_int8_refuses() -> None:
    nodes, weights = dense(3, (8, 16, 4))
    work = job(model(nodes, weights, ["n", 8]), rows(8))
    with pytest.raises(InputError, match=r"names 'conv9', which is no dense layer of this model; they are layer0, la"):
        apply(DynamicInt8(keep_float=("conv9",)), work)
    with pytest.raises(InputError, match=r"write \('layer0',\)"):
        DynamicInt8(keep_float="layer0")  # type: ignore[arg-type]
    with pytest.raises(TrialFailed, match="no dense layer or LSTM of this model can be quantized: Gemm 2, Relu 1"):
        apply(DynamicInt8(keep_float=("layer0", "layer1")), work)
    with pytest.raises(TrialFailed, match="quantized already"):
        apply(DynamicInt8(), apply(DynamicInt8(), work))
    kept = apply(DynamicInt8(keep_float=("layer1",)), work)
    assert operators(kept.model)["MatMulInteger"] == operators(kept.model)["MatMul"] == 1


def test_what_few_bits_refuse() -> None:
    nodes, weights = dense(3, (64, 16, 4))
    work = job(model(nodes, weights, ["n", 64]), rows(64))
    with pytest.raises(TrialFailed, match="no dense layer of this model has float weights"):
        apply(WeightOnly(), apply(WeightOnly(), work))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"bits": 3}, "bits is 4 or 8, got 3"), ({"block": 24}, "power of two from 16, got 24"), ({"block": 8}, "got 8")],
)
def test_wrong_parameters(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        WeightOnly(**wrong)
