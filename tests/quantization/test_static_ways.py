"""Ranges by least squares, corrected biases, equalised layers and mixed precision: what each is sure to give."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import scores
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph, apply
from trimwatt.technique.quantize import Equalise, MixedInt8, StaticInt8, _bias, _layers, _ranges, equalise, mixed_int8
from trimwatt.technique.quantize.static_int8 import planned, quantized
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Array, Workload

sys.path.insert(0, str(Path(__file__).parents[1] / "onnx_techniques"))
from onnx_samples import cnn, dense, job, mlp, model


class TestMixed(TechniqueContract):
    @pytest.fixture
    def technique(self) -> MixedInt8:
        return MixedInt8(calibration_rows=50, rows=50)

    @pytest.fixture
    def workload(self) -> Workload:
        return mlp()


class TestEqualise(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Equalise:
        return Equalise()

    @pytest.fixture
    def workload(self) -> Workload:
        return mlp()


class TestAllWays(TechniqueContract):
    @pytest.fixture
    def technique(self) -> StaticInt8:
        return StaticInt8(method="mse", correct_bias=True, calibration_rows=50)

    @pytest.fixture
    def workload(self) -> Workload:
        return mlp()


def node(op: str, *inputs: str, to: str, **attributes: Any) -> Any:
    return helper.make_node(op, list(inputs), [to], name=to, **attributes)


def answers(made: bytes, x: Array) -> Array:
    return np.asarray(open_session(made).run(None, {"x": x})[0], np.float64)


def uneven(seed: int = 0) -> tuple[bytes, Array]:
    """Convolution, depthwise convolution, convolution, pooling, flattening, dense; channels of very unlike range."""
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.normal(0, 2, 8))
    weights = {
        "a": rng.normal(size=(8, 3, 3, 3)) * scale[:, None, None, None] / 5,
        "ab": rng.normal(size=8) * scale,
        "b": rng.normal(size=(8, 1, 3, 3)) / scale[:, None, None, None],
        "bb": rng.normal(size=8) / 9,
        "c": rng.normal(size=(6, 8, 1, 1)),
        "cb": np.zeros(6),
        "d": rng.normal(size=(6 * 16, 5)) / 5,
        "e": rng.normal(size=(5, 4)),
    }
    nodes = [
        node("Conv", "x", "a", "ab", to="first", pads=[1] * 4), node("Relu", "first", to="r1"),
        node("Conv", "r1", "b", "bb", to="depth", group=8, pads=[1] * 4), node("LeakyRelu", "depth", to="r2"),
        node("Conv", "r2", "c", "cb", to="point"),
        node("MaxPool", "point", to="p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", to="f"), node("MatMul", "f", "d", to="hidden"), node("Relu", "hidden", to="r3"),
        node("MatMul", "r3", "e", to="y"),
    ]  # fmt: skip
    made = model(nodes, {k: v.astype(np.float32) for k, v in weights.items()}, ["n", 3, 8, 8])
    return made, rng.normal(size=(90, 3, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_equalising_changes_no_answer_and_makes_ranges_alike(seed: int) -> None:
    made, x = uneven(seed)
    after = apply(Equalise(rounds=200), job(made, x)).model
    before = answers(made, x)
    np.testing.assert_allclose(answers(after, x), before, atol=1e-5 * np.ptp(before))
    tidied = _graph.tidy(after)
    known, found = _graph.arrays(tidied.graph), equalise.pairs(tidied.graph)
    assert [(a.op_type, b.op_type) for a, b in found] == [
        *[("Conv", "Conv")] * 2, ("Conv", "MatMul"), ("MatMul", "MatMul")
    ]  # fmt: skip
    for one, two in found:
        mine = np.abs(_layers.matrix(one, known[one.input[1]])).max(axis=1)
        theirs = np.abs(equalise._view(two, known[two.input[1]], len(mine))).max(axis=(1, 3)).reshape(-1)
        np.testing.assert_allclose(mine, theirs, rtol=0.02)


def test_equalised_layers_are_rounded_better_by_one_step_a_layer() -> None:
    made, x = uneven()
    work, coarse = job(made, x), StaticInt8(per_channel=False, calibration_rows=30, float_head=False)
    want = answers(made, x)

    def error(workload: Workload) -> float:
        return float(np.abs(answers(apply(coarse, workload).model, x) - want).mean())

    assert error(apply(Equalise(), work)) < 0.5 * error(work)


@pytest.mark.parametrize("activation", ["Tanh", "Sigmoid", "Clip"])
def test_nothing_passes_what_bends_or_clips(activation: str) -> None:
    nodes, weights = dense(0, (8, 16, 4), activation)
    work = job(model(nodes, weights, ["n", 8]), np.zeros((30, 8), np.float32))
    with pytest.raises(TrialFailed, match=f"no two layers of this model have rectifiers alone between: .*{activation}"):
        apply(Equalise(), work)


def test_units_used_twice_and_products_over_width_are_left_alone() -> None:
    nodes, weights = dense(0, (8, 16, 4))
    nodes[-1].output[0] = "left"
    weights["w2"] = np.ones((16, 4), np.float32)
    nodes += [node("MatMul", "h0", "w2", to="right"), node("Add", "left", "right", to="y")]
    assert equalise.pairs(_graph.tidy(model(nodes, weights, ["n", 8])).graph) == []
    rng = np.random.default_rng(0)
    wide = {
        "a": rng.normal(size=(8, 3, 1, 1)).astype(np.float32), "b": rng.normal(size=(8, 4)).astype(np.float32),
        "c": np.array([0, -1], np.int64),
    }  # fmt: skip
    over_width = [
        node("Conv", "x", "a", to="conv"), node("MatMul", "conv", "b", to="m"), node("Reshape", "m", "c", to="y")
    ]  # fmt: skip
    assert equalise.pairs(_graph.tidy(model(over_width, wide, ["n", 3, 2, 8])).graph) == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 3), st.booleans())
def test_least_squares_never_rounds_worse_than_the_extremes(seed: int, tail: float, positive: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=4000) * np.exp(tail * rng.normal(size=4000))
    values = np.abs(values) if positive else values
    low, high = min(0.0, values.min()), max(0.0, values.max())
    chosen = _ranges.best(np.histogram(values, 2048, (low, high))[0].astype(float), low, high)
    assert low <= chosen[0] <= 0 <= chosen[1] <= high

    def error(pair: tuple[float, float]) -> float:
        return float(np.square(_ranges.rounded(values, *pair) - values).sum())

    # bins stand for the values in them: a bin is an eighth of a step
    assert error(chosen) <= error((low, high)) * 1.1


def test_one_extreme_in_millions_is_clipped_and_one_in_hundreds_is_not() -> None:
    counts = np.zeros(2048)
    counts[:100], counts[-1] = 1e5, 1
    assert _ranges.best(counts, 0.0, 1.0)[1] == pytest.approx(0.1)
    counts[:100] = 1
    assert _ranges.best(counts, 0.0, 1.0)[1] > 0.9


def test_the_graph_reads_with_the_steps_of_least_squares() -> None:
    nodes, weights = dense(0, (8, 16, 4))
    x = np.random.default_rng(1).laplace(size=(3000, 8)).astype(np.float32)
    work, step = job(model(nodes, weights, ["n", 8]), x), StaticInt8(method="mse", calibration_rows=900)
    plan = planned(step, work)
    low, high = _ranges.least_squares(plan.parsed, plan.given, frozenset({"Gemm", "Relu"}))["x"]
    made = onnx.load_model_from_string(apply(step, work).model)
    known = _graph.arrays(made.graph)
    first = next(n for n in made.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "x")
    np.testing.assert_allclose(known[first.input[1]], (high - low) / 255, rtol=1e-5)
    assert high - low < np.ptp(plan.given["x"])


def test_corrected_layers_give_the_mean_they_gave_in_float() -> None:
    x = np.random.default_rng(1).integers(0, 256, (90, 16, 16, 3)).astype(np.uint8)
    work = job(cnn(["n", 16, 16, 3], (0, 3, 1, 2), 16, 1, 1, grey=False), x)
    moved = {}
    for correct in (False, True):
        step = StaticInt8(calibration_rows=30, per_channel=False, correct_bias=correct)
        plan = planned(step, work)
        made = quantized(step, plan)
        twins = {twin.name: twin for twin in made.graph.node}
        layers = [n for n in _graph.layers(plan.parsed.graph) if n.op_type == "Conv"]
        want = _layers.values(plan.parsed, [n.output[0] for n in layers], plan.given)
        got = _layers.values(made, [twins[n.name].output[0] for n in layers], plan.given)
        moved[correct] = [
            np.abs(_bias._by_channel(a) - _bias._by_channel(b)).max() for a, b in zip(want, got, strict=True)
        ]
    assert all(after < 1e-3 for after in moved[True]), moved
    assert max(moved[False]) > 3e-3


def test_products_without_a_bias_are_listed(caplog: pytest.LogCaptureFixture) -> None:
    made, x = uneven()
    with caplog.at_level(logging.INFO, "trimwatt"):
        apply(StaticInt8(correct_bias=True, calibration_rows=20), job(made, x))
    assert "without a bias to correct: hidden, y" in caplog.text


def spoilt() -> tuple[Workload, Array]:
    """Three dense layers, the second of which mixes weights of very unlike size, and so is the one int8 spoils."""
    nodes, weights = dense(7, (12, 24, 24, 24, 4))
    weights["w1"][:, 3] *= 60
    weights["w1"][5] *= 40
    weights["w2"][3] /= 60
    weights["w0"][:, 5] /= 40
    weights["b0"][5] /= 40
    x = np.random.default_rng(2).normal(size=(900, 12)).astype(np.float32)
    return job(model(nodes, weights, ["n", 12]), x), x


def test_only_layers_that_spoil_answers_stay_in_float(caplog: pytest.LogCaptureFixture) -> None:
    work, x = spoilt()
    want = answers(work.model, x)

    def error(made: Workload) -> float:
        return float(np.sqrt(np.square(answers(made.model, x) - want).mean()) / want.std(axis=0).mean())

    whole = error(apply(StaticInt8(calibration_rows=100), work))
    step = MixedInt8(bound=0.6 * whole, calibration_rows=100, rows=100, most=0.75)
    with caplog.at_level(logging.INFO, "trimwatt"):
        mixed = apply(step, work)
    named = mixed_int8.chosen(step, work)
    assert 1 <= len(named.keep_float) <= 3 and f"left in float: {', '.join(named.keep_float)}" in caplog.text
    assert error(mixed) < 0.7 * whole
    assert mixed.model == apply(named, work).model


def test_a_loose_bound_keeps_all_in_int8_and_an_impossible_one_is_said() -> None:
    work, _ = spoilt()
    loose = MixedInt8(bound=10, calibration_rows=50, rows=50)
    assert mixed_int8.chosen(loose, work) == StaticInt8(calibration_rows=50)
    assert apply(loose, work).model == apply(StaticInt8(calibration_rows=50), work).model
    with pytest.raises(TrialFailed, match=r"answers move by .* with 50% of the layers in float; the bound is 1e-09"):
        apply(MixedInt8(bound=1e-9, calibration_rows=50, rows=50), work)


def test_judged_on_rows_that_gave_no_range() -> None:
    work, _ = spoilt()
    step = MixedInt8(calibration_rows=60, rows=40)
    judged, used = mixed_int8._judging(step, work), _graph.sample(work, 60)
    assert isinstance(judged, np.ndarray) and isinstance(used, np.ndarray)
    assert len(judged) == 40 and not {row.tobytes() for row in judged} & {row.tobytes() for row in used}
    assert len(mixed_int8._judging(MixedInt8(calibration_rows=9999), work)) == 300


def test_a_freed_layer_computes_with_its_own_weights() -> None:
    work, x = spoilt()
    whole = StaticInt8(calibration_rows=100, clean=False)
    plan = planned(whole, work)
    made = quantized(whole, plan)
    free = mixed_int8.freed(made, plan.parsed, "layer1")
    known = _graph.arrays(free.graph)
    weight = next(known[n.input[1]] for n in free.graph.node if n.name == "layer1")
    np.testing.assert_array_equal(weight, onnx.numpy_helper.to_array(_initial(plan.parsed, "layer1")))
    assert sum(n.op_type == "DequantizeLinear" for n in free.graph.node) < sum(
        n.op_type == "DequantizeLinear" for n in made.graph.node
    )
    assert np.isfinite(answers(free.SerializeToString(), x)).all()


@pytest.mark.parametrize("kept", ["layer1", "layer2"])
def test_layers_kept_in_float_are_not_rounded_by_the_runtime(kept: str) -> None:
    """ONNX Runtime quantizes float layers between quantized ones by itself, with one step for a whole layer."""
    work, x = spoilt()
    made = apply(StaticInt8(calibration_rows=100, keep_float=(kept,)), work).model
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = ort.InferenceSession(made, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    assert np.abs(answers(made, x) - plain).max() < 0.02 * np.ptp(plain)


def _initial(parsed: Any, name: str) -> Any:
    wanted = next(n.input[1] for n in parsed.graph.node if n.name == name)
    return next(t for t in parsed.graph.initializer if t.name == wanted)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (MixedInt8, {"bound": 0}, "above zero, got 0"),
        (MixedInt8, {"most": 1.5}, r"in \(0, 1\], got 1.5"),
        (MixedInt8, {"rows": 1}, "from 2, got 1"),
        (MixedInt8, {"method": "kl"}, "method is one of minmax, percentile, entropy, mse, got 'kl'"),
        (MixedInt8, {"calibration_rows": 0}, "from 1, got 0"),
        (Equalise, {"rounds": 0}, "from 1, got 0"),
    ],
)
def test_wrong_parameters(kind: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**wrong)


def test_scores_survive_all_ways_together() -> None:
    work = mlp()
    step = StaticInt8(method="mse", correct_bias=True, calibration_rows=100)
    after = apply(step, apply(Equalise(), work))
    x = work.rows.val.x
    assert (scores(after, x).argmax(1) == scores(work, x).argmax(1)).mean() > 0.95
