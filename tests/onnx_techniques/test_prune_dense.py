"""Pruning dense layers: the contract, what least squares promises exactly, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx_samples import dense, job, mlp, model, regression

from trimwatt import metric
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import parameters, scores
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph, apply
from trimwatt.technique.prune import _surgeon
from trimwatt.technique.prune.dense import PruneDense
from trimwatt.technique.quantize import StaticInt8
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Array, Data, Split, Workload


class TestContract(TechniqueContract):
    @pytest.fixture
    def technique(self) -> PruneDense:
        return PruneDense(share=0.4)

    @pytest.fixture
    def workload(self) -> Workload:
        return mlp()


class TestContractOfValues(TechniqueContract):
    @pytest.fixture
    def technique(self) -> PruneDense:
        return PruneDense(share=0.4)

    @pytest.fixture
    def workload(self) -> Workload:
        return regression()

    def test_values_stay_close(self, technique: PruneDense, workload: Workload) -> None:
        x = workload.rows.val.x
        before, after = scores(workload, x), scores(apply(technique, workload), x)
        assert np.abs(after - before).mean() < 0.05 * np.ptp(before)


def rows(features: int = 12, n: int = 300) -> Array:
    return np.random.default_rng(2).normal(size=(n, features)).astype(np.float32)


def answers(workload: Workload, x: Array) -> Array:
    return np.asarray(open_session(workload.model).run(None, {"x": x})[0])


def widths(workload: Workload) -> list[tuple[int, ...]]:
    graph = onnx.load_model_from_string(workload.model).graph
    return [tuple(t.dims) for t in graph.initializer if len(t.dims) == 2 and min(t.dims) > 1]


def doubled(activation: str) -> bytes:
    """A hidden layer of 16 units of which 8 repeat the others in another size, and shares of their weight behind."""
    nodes, weights = dense(4, (12, 8, 4), activation)
    weights["w0"] = np.hstack([weights["w0"], weights["w0"]])
    weights["b0"] = np.hstack([weights["b0"], weights["b0"]])
    weights["w1"] = np.vstack([0.3 * weights["w1"], 0.7 * weights["w1"]]).astype(np.float32)
    return model(nodes, weights, ["n", 12])


@pytest.mark.parametrize("activation", ["Relu", "Tanh", "Sigmoid", "LeakyRelu", "Softplus"])
def test_repeated_units_go_without_a_trace(activation: str) -> None:
    work = job(doubled(activation), rows())
    pruned = apply(PruneDense(share=0.5), work)
    assert sorted(widths(pruned)) == [(8, 4), (12, 8)]
    np.testing.assert_allclose(answers(pruned, rows()), answers(work, rows()), atol=1e-5)


@pytest.mark.parametrize("repair", [True, False])
def test_units_that_send_nothing_on_go_first(repair: bool) -> None:
    nodes, weights = dense(4, (12, 16, 4))
    dead = [1, 2, 5, 11]
    weights["w1"][dead] = 0
    work = job(model(nodes, weights, ["n", 12]), rows())
    pruned = apply(PruneDense(share=0.25, repair=repair), work)
    np.testing.assert_allclose(answers(pruned, rows()), answers(work, rows()), atol=1e-5)
    kept = next(t for t in onnx.load_model_from_string(pruned.model).graph.initializer if t.dims == [12, 12])
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(kept), np.delete(weights["w0"], dead, axis=1))


def test_a_unit_that_never_changes_becomes_bias() -> None:
    nodes, weights = dense(4, (12, 16, 4), "Sigmoid")
    weights["w0"][:, :4], weights["b0"][:4] = 0, 2
    work = job(model(nodes, weights, ["n", 12]), rows())
    pruned = apply(PruneDense(share=0.25), work)
    np.testing.assert_allclose(answers(pruned, rows()), answers(work, rows()), atol=1e-5)


def test_repair_beats_leaving_out() -> None:
    work = mlp(hidden=(64, 32))
    truth, x = scores(work, work.rows.val.x).argmax(1), work.rows.val.x
    repaired, bare = (apply(PruneDense(0.5, repair=r), work) for r in (True, False))
    assert (scores(repaired, x).argmax(1) == truth).mean() > (scores(bare, x).argmax(1) == truth).mean() + 0.05
    assert parameters(repaired) == parameters(bare)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(1, 5), st.integers(0, 10_000))
def test_what_stays_explains_more_the_more_stays(units: int, out: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    act = rng.normal(size=(80, units)) @ rng.normal(size=(units, units))
    outgoing = rng.normal(size=(units, out))
    target, losses = act @ outgoing, []
    for kept in range(1, units + 1):
        left = _surgeon.keep(act, outgoing, kept, repair=True)
        assert len(set(left.tolist())) == kept and list(left) == sorted(left)
        fitted = np.linalg.lstsq(act[:, left] - act[:, left].mean(0), target - target.mean(0), rcond=None)[0]
        losses.append(np.square(target - target.mean(0) - (act[:, left] - act[:, left].mean(0)) @ fitted).sum())
    scale = np.square(target).sum()
    assert all(after <= before + 1e-6 * scale for before, after in itertools.pairwise(losses))
    assert losses[-1] <= 1e-9 * scale


def test_one_step_is_the_best_single_choice() -> None:
    """With one unit to leave out, the choice is the best there is by trying all."""
    rng = np.random.default_rng(8)
    act, outgoing = rng.normal(size=(200, 7)) @ rng.normal(size=(7, 7)), rng.normal(size=(7, 3))
    centred = act - act.mean(0)

    def loss(left_out: int) -> float:
        rest = np.delete(centred, left_out, axis=1)
        fitted = np.linalg.lstsq(rest, centred @ outgoing, rcond=None)[0]
        return float(np.square(centred @ outgoing - rest @ fitted).sum())

    best = min(range(7), key=loss)
    assert set(range(7)) - set(_surgeon.keep(act, outgoing, 6, repair=True).tolist()) == {best}


def test_refit_of_what_is_already_right_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    act, weights = rng.normal(size=(50, 4)), rng.normal(size=(4, 3))
    fitted, shift = _surgeon.refit(act, act @ weights, weights, free=True)
    np.testing.assert_allclose(fitted, weights, atol=1e-12)
    np.testing.assert_allclose(shift, 0, atol=1e-12)


def node(op: str, *inputs: str, to: str, **attributes: Any) -> Any:
    return helper.make_node(op, list(inputs), [to], name=f"{op} {to}", **attributes)


def test_two_layers_that_share_units_are_both_refitted() -> None:
    nodes, weights = dense(4, (12, 16, 4))
    nodes[-1].output[0] = "left"
    weights["w2"] = np.random.default_rng(9).normal(size=(16, 4)).astype(np.float32)
    nodes += [node("MatMul", "h0", "w2", to="right"), node("Concat", "left", "right", to="y", axis=1)]
    weights["w0"][:, 8:], weights["b0"][8:] = weights["w0"][:, :8], weights["b0"][:8]
    work = job(model(nodes, weights, ["n", 12]), rows())
    pruned = apply(PruneDense(0.5), work)
    assert sorted(widths(pruned)) == [(8, 4), (8, 4), (12, 8)]
    np.testing.assert_allclose(answers(pruned, rows()), answers(work, rows()), atol=1e-4)


def test_transposed_weights_and_factors_for_each_unit() -> None:
    nodes, weights = dense(4, (12, 8, 4))
    weights["w0"] = np.ascontiguousarray(np.hstack([weights["w0"]] * 2).T)
    weights["b0"] = np.hstack([weights["b0"]] * 2)
    weights["w1"] = np.vstack([weights["w1"]] * 2)
    weights["gain"] = np.linspace(1, 2, 16).astype(np.float32)
    nodes[0].attribute.append(helper.make_attribute("transB", 1))
    nodes[1].output[0] = "h"
    nodes.insert(2, node("Mul", "h", "gain", to="h0"))
    work = job(model(nodes, weights, ["n", 12]), rows())
    pruned = apply(PruneDense(0.5), work)
    assert sorted(widths(pruned)) == [(8, 4), (8, 12)]
    np.testing.assert_allclose(answers(pruned, rows()), answers(work, rows()), atol=1e-4)


def test_units_that_are_added_to_others_are_left_alone() -> None:
    nodes, weights = dense(4, (12, 12, 4))
    nodes.insert(2, node("Add", "h0", "x", to="sum"))
    nodes[-1].input[0] = "sum"
    with pytest.raises(TrialFailed, match=r"no dense layer of this model feeds another: .*Gemm 2.* were found"):
        apply(PruneDense(), job(model(nodes, weights, ["n", 12]), rows()))


def test_a_head_alone_has_nothing_to_prune() -> None:
    nodes, weights = dense(4, (12, 4))
    with pytest.raises(TrialFailed, match="no dense layer of this model feeds another: Gemm 1 were found"):
        apply(PruneDense(), job(model(nodes, weights, ["n", 12]), rows()))


def test_heads_keep_all_their_outputs() -> None:
    pruned = apply(PruneDense(0.75), mlp())
    assert scores(pruned, pruned.rows.val.x).shape[1] == 10
    assert sorted(widths(pruned)) == [(6, 10), (12, 6), (64, 12)]


def test_a_layer_is_never_emptied() -> None:
    nodes, weights = dense(4, (12, 2, 4))
    with pytest.raises(TrialFailed, match=r"share 0\.9 leaves layer layer0 none of its 2 units"):
        apply(PruneDense(0.9), job(model(nodes, weights, ["n", 12]), rows()))


@pytest.mark.parametrize(
    ("share", "message"),
    [(25, r"got 25; did you mean 0\.25\?"), (1.0, r"in \(0, 1\), got 1"), (0, "got 0"), (-0.5, "got -0")],
)
def test_shares_are_no_percentages(share: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PruneDense(share=share)


def test_then_int8() -> None:
    work = mlp(hidden=(64, 32))
    small = apply(StaticInt8(), apply(PruneDense(0.5), work))
    same = scores(small, work.rows.val.x).argmax(1) == scores(work, work.rows.val.x).argmax(1)
    assert same.mean() > 0.9
    assert len(small.model) < 0.6 * len(work.model)


def test_rows_that_a_threshold_is_fitted_on_stay_unseen() -> None:
    rng = np.random.default_rng(0)
    rows, codes = np.arange(400, dtype=np.float32).reshape(-1, 1), rng.integers(0, 2, 400)
    split = Split(rows, codes)
    work = Workload(Data(split, split, split, classes=("no", "yes")), metric=metric.get("f1", 1))
    assert work.needs_threshold
    held = set(work.rows.holdout(work.seed)[1].x.ravel().tolist())
    sampled = _graph.sample(work, 2000)
    assert isinstance(sampled, np.ndarray)
    assert held and not held & set(sampled.ravel().tolist())
