"""Second-order rounding and removal: the closed forms against least squares, the contracts, what is refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import macs, scores
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph, apply
from trimwatt.technique._base import Technique
from trimwatt.technique.oneshot import Gptq, ObsChannels, ObsWeights, _chains, _second_order, obs_channels
from trimwatt.technique.quantize import StaticInt8, WeightOnly, _grid, _layers
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Array, Workload

sys.path.insert(0, str(Path(__file__).parents[1] / "onnx_techniques"))
from onnx_samples import dense, job, mlp, model


class TestWhole(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return Gptq(calibration_rows=100)

    @pytest.fixture
    def workload(self) -> Workload:
        return mlp()


class TestFourBits(TestWhole):
    @pytest.fixture
    def technique(self) -> Technique:
        return Gptq(bits=4, activations="float", calibration_rows=100)


class TestChannels(TestWhole):
    @pytest.fixture
    def technique(self) -> Technique:
        return ObsChannels(calibration_rows=200)


class TestWeights(TestWhole):
    @pytest.fixture
    def technique(self) -> Technique:
        return ObsWeights(calibration_rows=100)


def answers(made: bytes, x: Array) -> Array:
    return np.asarray(open_session(made).run(None, {"x": x})[0], np.float64)


def rows_of(seed: int, features: int, n: int = 120) -> Array:
    """Rows whose features depend on each other, as those of layers do."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(size=(n, features)) @ rng.normal(size=(features, features)))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(1, 3), st.integers(1, 4), st.integers(0, 10_000))
def test_removal_is_the_least_squares_fit_of_what_is_left(many: int, each: int, out: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, weights = rows_of(seed, many * each + 1), rng.normal(size=(out, many * each + 1))
    groups = np.append(np.repeat(np.arange(many), each), -1)
    kept, fitted = _second_order.remove_groups(weights, x.T @ x, groups, max(1, many // 2), damp=1e-10)
    stay = np.isin(groups, [-1, *kept])
    assert not fitted[:, ~stay].any() and len(kept) == max(1, many // 2)
    best = np.linalg.lstsq(x[:, stay], x @ weights.T, rcond=None)[0].T
    np.testing.assert_allclose(
        x[:, stay] @ fitted[:, stay].T, x[:, stay] @ best.T, atol=1e-4 * np.abs(x @ weights.T).max()
    )


def test_the_first_weight_to_go_is_the_one_whose_best_repair_costs_least() -> None:
    x, weights = rows_of(4, 6), np.random.default_rng(5).normal(size=(3, 6))

    def loss(left_out: int) -> float:
        rest = np.delete(x, left_out, axis=1)
        return float(np.square(x @ weights.T - rest @ np.linalg.lstsq(rest, x @ weights.T, rcond=None)[0]).sum())

    kept, _ = _second_order.remove_groups(weights, x.T @ x, np.arange(6), 5, damp=1e-10)
    assert set(range(6)) - set(kept.tolist()) == {min(range(6), key=loss)}


def test_features_that_are_always_zero_go_first() -> None:
    x, weights = rows_of(4, 8), np.full((3, 8), 5.0)
    x[:, [1, 4, 6]] = 0
    kept, fitted = _second_order.remove_groups(weights, x.T @ x, np.arange(8), 5)
    assert kept.tolist() == [0, 2, 3, 5, 7]
    np.testing.assert_allclose(fitted[:, kept], 5)
    masked = _second_order.mask_weights(weights, x.T @ x, 3 / 8, None)
    assert not masked[:, [1, 4, 6]].any() and masked[:, [0, 2, 3, 5, 7]].all()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.sampled_from([4, 8]), st.integers(0, 10_000))
def test_rounding_with_compensation_is_never_worse_than_to_the_nearest(
    features: int, out: int, bits: int, seed: int
) -> None:
    x, weights = rows_of(seed, features), np.random.default_rng(seed).normal(size=(out, features))
    step, top = _grid.steps(weights, bits, None), _grid.top(bits)
    levels = _second_order.round_weights(weights, x.T @ x, step, top)
    plain = _grid.nearest(weights, step, bits)
    assert np.abs(levels).max() <= top and (levels == np.rint(levels)).all()
    mine, theirs = (np.square(x @ (found * step - weights).T).sum(axis=0) for found in (levels, plain))
    assert (mine <= theirs * (1 + 1e-6) + 1e-9).all()


def test_compensation_pays_where_features_depend_on_each_other_and_changes_nothing_where_they_do_not() -> None:
    weights = np.random.default_rng(1).normal(size=(16, 200))
    step = _grid.steps(weights, 4, None)
    plain = _grid.nearest(weights, step, 4)
    x = rows_of(0, 200, 600)
    levels = _second_order.round_weights(weights, x.T @ x, step, 7)
    mine, theirs = (np.square(x @ (found * step - weights).T).sum() for found in (levels, plain))
    assert mine < 0.5 * theirs
    apart = _second_order.round_weights(weights, np.diag(np.linspace(1, 2, 200)), step, 7)
    np.testing.assert_array_equal(apart, plain)


def test_blocks_do_not_change_what_is_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weights = rows_of(3, 50, 200), np.random.default_rng(3).normal(size=(4, 50))
    step, found = _grid.steps(weights, 4, None), []
    for block in (7, 64):
        monkeypatch.setattr(_second_order, "_BLOCK", block)
        found.append(_second_order.round_weights(weights, x.T @ x, step, 7))
    np.testing.assert_array_equal(*found)


def test_masks_hold_their_share_and_their_pattern() -> None:
    x, weights = rows_of(0, 64, 300), np.random.default_rng(1).normal(size=(8, 64))
    half = _second_order.mask_weights(weights, x.T @ x, 0.5, None)
    assert (half == 0).mean() == 0.5
    two = _second_order.mask_weights(weights, x.T @ x, 0.5, (2, 4))
    assert ((two.reshape(8, 16, 4) != 0).sum(axis=2) == 2).all()
    bare = np.where(np.abs(weights) > np.median(np.abs(weights)), weights, 0)
    mine, theirs = (np.square(x @ (found - weights).T).sum() for found in (half, bare))
    assert mine < 0.9 * theirs


def test_features_are_what_the_layer_multiplies() -> None:
    """Rows of features times the matrix are the layer's answers: strides, dilations, groups, padding on one side."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(6, 2, 3, 2)).astype(np.float32)
    made = helper.make_node(
        "Conv", ["x", "w"], ["y"], name="conv", group=2, strides=[2, 1], dilations=[1, 2], pads=[1, 0, 0, 2]
    )
    x = rng.normal(size=(5, 4, 9, 7)).astype(np.float32)
    entries = [
        helper.make_tensor_value_info(name, 1, ["n", *shape])
        for name, shape in (("x", (4, 9, 7)), ("y", (6, None, None)))
    ]
    graph = helper.make_graph([made], "g", entries[:1], entries[1:], [numpy_helper.from_array(weight, "w")])
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    rows = _layers.features(_graph.tidy(whole.SerializeToString()), "x", made, weight.shape, {"x": x})
    parts = np.split(_layers.matrix(made, weight), 2)
    got = np.concatenate([r @ part.T for r, part in zip(rows, parts, strict=True)], axis=1)
    want = answers(whole.SerializeToString(), x)
    np.testing.assert_allclose(got, want.transpose(0, 2, 3, 1).reshape(-1, 6), atol=1e-4)


def node(op: str, *inputs: str, to: str, **attributes: Any) -> Any:
    return helper.make_node(op, list(inputs), [to], name=to, **attributes)


def network(double: bool = True) -> tuple[bytes, Array]:
    """Convolution, swish, depthwise convolution, convolution, pooling, flattening, dense, dense.

    double: half of the channels of each chain repeat the others in another size.
    """
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(16, 3, 3, 3)) / 5, rng.normal(size=(16, 1, 3, 3)) / 3
    c, d = rng.normal(size=(8, 16, 1, 1)) / 4, rng.normal(size=(8 * 16, 16)) / 11
    if double:
        a[8:], b[8:], c[4:], d[:, 8:] = a[:8], 0.5 * b[:8], 2 * c[:4], d[:, :8]
    weights = {
        "a": a, "b": b, "c": c, "cb": np.tile(rng.normal(size=4), 2) * np.repeat([1, 2], 4), "d": d,
        "e": rng.normal(size=(16, 4)), "gain": np.tile(np.linspace(1, 2, 8), 2).reshape(16, 1, 1),
    }  # fmt: skip
    nodes = [
        node("Conv", "x", "a", to="first", pads=[1] * 4), node("Sigmoid", "first", to="gate"),
        node("Mul", "first", "gate", to="swish"), node("Mul", "swish", "gain", to="scaled"),
        node("Conv", "scaled", "b", to="depth", group=16, pads=[1] * 4), node("Relu", "depth", to="r"),
        node("Conv", "r", "c", "cb", to="point"), node("Relu", "point", to="q"),
        node("MaxPool", "q", to="p", kernel_shape=[2, 2], strides=[2, 2]), node("Flatten", "p", to="f"),
        node("MatMul", "f", "d", to="hidden"), node("Relu", "hidden", to="s"), node("MatMul", "s", "e", to="y"),
    ]  # fmt: skip
    made = model(nodes, {k: v.astype(np.float32) for k, v in weights.items()}, ["n", 3, 8, 8])
    return made, rng.normal(size=(900, 3, 8, 8)).astype(np.float32)


def test_repeated_channels_go_without_a_trace() -> None:
    made, x = network()
    work = job(made, x)
    pruned = apply(ObsChannels(share=0.5, round_to=1, damp=1e-6), work)
    seen = work.rows.train.x
    assert isinstance(seen, np.ndarray)
    want = answers(made, seen)
    np.testing.assert_allclose(answers(pruned.model, seen), want, atol=2e-3 * np.ptp(want))
    graph = onnx.load_model_from_string(pruned.model).graph
    shapes = sorted(tuple(t.dims) for t in graph.initializer if len(t.dims) > 1 and t.dims[0] > 1)
    assert shapes == sorted([(8, 3, 3, 3), (8, 1, 3, 3), (8, 1, 1), (4, 8, 1, 1), (64, 8), (8, 4)])


def test_making_up_beats_leaving_out() -> None:
    made, x = network(double=False)
    work, want = job(made, x), answers(made, x)
    pruned = apply(ObsChannels(share=0.25, round_to=1), work)
    bare = _graph.tidy(made)
    for chain in _chains.find(bare.graph):
        nodes, known = {n.name: n for n in bare.graph.node}, _graph.arrays(bare.graph)
        left = np.arange(round(0.75 * chain.channels))
        after, shape = nodes[chain.after], known[nodes[chain.after].input[1]].shape
        matrix = _layers.matrix(after, known[after.input[1]])
        matrix = matrix.reshape(len(matrix), chain.channels, -1)[:, left].reshape(len(matrix), -1)
        _chains.cut(bare.graph, chain, left)
        bias = known[after.input[2]] if len(after.input) > 2 else None
        _chains.give(bare.graph, after, matrix, (shape[0], len(left), *shape[2:]) if len(shape) > 2 else (), bias)
    mine, theirs = (np.abs(answers(m, x) - want).mean() for m in (pruned.model, _graph.finished(bare)))
    assert macs(pruned) is not None and mine < 0.6 * theirs


def test_channels_that_are_added_shared_or_answers_stay() -> None:
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=(8, 8, 1, 1)).astype(np.float32) for name in "abcd"}
    nodes = [
        node("Conv", "x", "a", to="one"), node("Conv", "one", "b", to="two"), node("Relu", "two", to="r"),
        node("Conv", "r", "c", to="three"), node("Add", "one", "three", to="sum"), node("Conv", "sum", "d", to="four"),
        node("GlobalAveragePool", "four", to="g"), node("Flatten", "g", to="y"),
    ]  # fmt: skip
    found = _chains.find(_graph.tidy(model(nodes, weights, ["n", 8, 4, 4])).graph)
    assert [(chain.layer, chain.after) for chain in found] == [("two", "three")]


@pytest.mark.parametrize(
    ("channels", "share", "round_to", "left"), [(32, 0.5, 8, 16), (20, 0.5, 8, 16), (8, 0.5, 8, 8), (10, 0.25, 1, 8)]
)
def test_what_stays_is_a_multiple(channels: int, share: float, round_to: int, left: int) -> None:
    assert ObsChannels(share, round_to).left(channels) == left


def test_refit_of_what_is_right_changes_nothing() -> None:
    x, weights = rows_of(0, 5), np.random.default_rng(0).normal(size=(3, 5))
    np.testing.assert_allclose(obs_channels.refit(x, x @ weights.T, weights, 1e-3), weights, atol=1e-12)


def test_refit_is_least_squares_whatever_it_starts_from() -> None:
    x, y = rows_of(0, 5), np.random.default_rng(0).normal(size=(120, 3))
    fitted = obs_channels.refit(x, y, np.ones((3, 5)), 1e-10)
    np.testing.assert_allclose(fitted, np.linalg.lstsq(x, y, rcond=None)[0].T, atol=1e-6)


def moved(work: Workload, steps: Sequence[Technique]) -> list[float]:
    want = scores(work, work.rows.train.x)
    return [float(np.square(scores(apply(step, work), work.rows.train.x) - want).mean()) for step in steps]


def test_answers_move_less_than_by_plain_rounding() -> None:
    work = mlp(hidden=(64, 32))
    plain, ours = moved(work, [WeightOnly(bits=4), Gptq(bits=4, activations="float", calibration_rows=300)])
    assert ours < 0.6 * plain
    # rounded activations move answers more than weights of 8 bits do
    plain, ours = moved(work, [StaticInt8(), Gptq()])
    assert ours < 1.5 * plain


def test_convolutions_of_groups_are_rounded_too() -> None:
    made, x = network(double=False)
    work, want = job(made, x), answers(made, x)
    for bits in (8, 4):
        pair = (WeightOnly(bits=bits, convolutions=True), Gptq(bits, "float", convolutions=True))
        plain, ours = (np.abs(answers(apply(step, work).model, x) - want).mean() for step in pair)
        assert ours < 1.05 * plain
    whole = apply(Gptq(calibration_rows=50), work).model
    assert np.abs(answers(whole, x) - want).max() < 0.1 * np.ptp(want)


def test_zeros_are_there_and_the_last_layer_has_none() -> None:
    made = apply(ObsWeights(share=0.75), mlp()).model
    known = _graph.arrays(onnx.load_model_from_string(made).graph)
    zeros = sorted((array == 0).mean() for array in known.values() if array.ndim == 2 and min(array.shape) > 1)
    np.testing.assert_allclose(zeros, [0, 0.75, 0.75], atol=0.01)


def test_what_is_refused() -> None:
    nodes, weights = dense(4, (12, 4))
    head = job(model(nodes, weights, ["n", 12]), np.zeros((60, 12), np.float32))
    with pytest.raises(TrialFailed, match=r"no layer's channels go to one other layer alone, .*: Gemm 1 were found"):
        apply(ObsChannels(), head)
    with pytest.raises(TrialFailed, match="no layer before the last has weights to remove: Gemm 1 were found"):
        apply(ObsWeights(), head)
    nodes, weights = dense(4, (12, 2, 4))
    small = job(model(nodes, weights, ["n", 12]), np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32))
    with pytest.raises(TrialFailed, match=r"share 0\.9 leaves layer layer0 none of its 2 channels"):
        apply(ObsChannels(0.9, round_to=1), small)
    with pytest.raises(TrialFailed, match="quantized already"):
        apply(Gptq(), apply(Gptq(), mlp()))


def test_rows_that_say_nothing_do_no_harm() -> None:
    nodes, weights = dense(4, (12, 32, 16, 4))
    work = job(model(nodes, weights, ["n", 12]), np.zeros((60, 12), np.float32))
    for step in (ObsChannels(), ObsWeights(), Gptq(), Gptq(4, "float")):
        assert np.isfinite(scores(apply(step, work), work.rows.val.x)).all()


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (Gptq, {"bits": 4}, "4 with activations='float', got 4 with 'uint8'"),
        (Gptq, {"bits": 3}, "got 3"),
        (Gptq, {"activations": "int4"}, "got 'int4'"),
        (Gptq, {"damp": 0}, "damp is a share"),
        (Gptq, {"block": 20}, "power of two from 16, got 20"),
        (Gptq, {"calibration_rows": 1}, "from 2, got 1"),
        (ObsChannels, {"share": 25}, r"did you mean 0\.25\?"),
        (ObsChannels, {"share": 1.0}, "got 1"),
        (ObsChannels, {"round_to": 0}, "from 1, got 0"),
        (ObsChannels, {"damp": 2}, "got 2"),
        (ObsWeights, {"share": 0}, "got 0"),
        (ObsWeights, {"pattern": (4, 2)}, r"0 < n < m, or \(\) for none, got \(4, 2\)"),
    ],
)
def test_wrong_parameters(kind: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**wrong)
