"""Quantization-aware training: the contract, the graph it leaves, its answers, and what it refuses."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import helper
from qat_samples import Convolutions, Recurrent, clothes, job, share_right, trained

from trimwatt import framework
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import lower
from trimwatt.framework.onnx.run import open_session
from trimwatt.framework.torch.fakequant_graph import QuantizedGraph
from trimwatt.framework.torch.run import forward, tensor
from trimwatt.technique import apply
from trimwatt.technique.quantize import Qat, StaticInt8
from trimwatt.technique.quantize.qat_unroll import unrolled
from trimwatt.testing import samples
from trimwatt.testing.technique import TechniqueContract, fingerprint
from trimwatt.workload import Array, Workload

SHORT = Qat(epochs=1, batch=64, calibration_rows=50, flip=False, shift=0)


def operators(model: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model_from_string(model).graph.node)


def as_run(model: bytes, folder: Path) -> Counter[str]:
    """Operators that ONNX Runtime runs after its own optimisation."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "run.onnx")
    ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return operators((folder / "run.onnx").read_bytes())


class TestContract(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Qat:
        return SHORT

    @pytest.fixture
    def workload(self) -> Workload:
        return trained()


def answers(model: bytes, rows: torch.Tensor) -> Array:
    session = open_session(model)
    return np.asarray(session.run(None, {session.get_inputs()[0].name: rows.numpy()})[0])


@pytest.mark.parametrize("ranges", ["learned", "averaged", "kept"])
@pytest.mark.parametrize("made", [trained, clothes], ids=["numbers", "bytes"])
def test_onnx_runtime_answers_as_the_network_in_training(made: object, ranges: str) -> None:
    work = made()  # type: ignore[operator]
    start = apply(SHORT.start(), lower(work))
    graph = QuantizedGraph(start.model, ranges)
    rows = tensor(start, work.rows.train.x)
    _near(forward(graph.eval(), rows), answers(start.model, rows))
    _shaken(graph, rows)
    graph.eval()
    got, wanted = answers(graph.written(), rows), forward(graph, rows)
    assert np.abs(wanted - answers(start.model, rows)).max() > 0.01 * np.ptp(wanted)
    _near(got, wanted)


def _near(got: Array, wanted: Array) -> None:
    """Equal but for sums that fall on the edge between two levels and may go either way: a step of one in 256."""
    best = np.sort(wanted, axis=1)
    clear = best[:, -1] - best[:, -2] > 0.01 * np.ptp(wanted)
    assert clear.mean() > 0.8 and np.mean((got.argmax(1) == wanted.argmax(1))[clear]) >= 0.999
    assert np.abs(got - wanted).max() < 0.01 * np.ptp(wanted)
    assert np.abs(got - wanted).mean() < 5e-4 * np.ptp(wanted)


def _shaken(graph: QuantizedGraph, rows: torch.Tensor) -> None:
    """All that is learned is moved, and averages have seen rows."""
    torch.manual_seed(1)
    graph.train()
    for _ in range(5):
        graph(rows[:64])
    with torch.no_grad():
        for parameter in graph.parameters():
            parameter.mul_(1 + 0.1 * torch.randn_like(parameter)).add_(0.02 * torch.randn_like(parameter))


@pytest.mark.parametrize("made", [trained, clothes], ids=["numbers", "bytes"])
def test_it_is_static_int8s_graph_and_runs_as_int8(made: object, tmp_path: Path) -> None:
    work = made()  # type: ignore[operator]
    qat, static = apply(SHORT, work).model, apply(SHORT.start(), lower(work)).model
    assert operators(qat) == operators(static)
    run, same = as_run(qat, tmp_path), as_run(static, tmp_path)
    assert run == same
    assert run["QLinearConv"] == 3 and run["Conv"] == 0
    assert apply(replace(SHORT, epochs=0), work).model == static


def test_training_makes_up_for_coarse_weights() -> None:
    # four channels' worth of bits are taken away by a range that a single weight stretches
    work = trained()
    spoilt = Convolutions()
    spoilt.load_state_dict(work.model.state_dict())
    with torch.no_grad():
        spoilt.third.weight[:, 0] *= 40
        spoilt.second.weight[0] /= 40
    work = replace(work, model=spoilt.eval())
    start = apply(StaticInt8(per_channel=False, calibration_rows=50), lower(work))
    after = apply(Qat(epochs=6, batch=32, per_channel=False, calibration_rows=50, flip=False, shift=0), work)
    val = work.rows.train
    assert share_right(after, val) > share_right(start, val) + 0.02


def test_any_framework_by_way_of_onnx() -> None:
    from sklearn.neural_network import MLPClassifier

    given = samples.digits()
    train = given.rows.train
    model = MLPClassifier((24,), max_iter=300, random_state=0).fit(train.x, train.y)
    work = lower(replace(given, model=model, form="sklearn", outputs="probabilities"))
    after = apply(Qat(epochs=2, calibration_rows=50), work)
    assert after.form == "onnx" and share_right(after, work.rows.val) > share_right(work, work.rows.val) - 0.05
    with pytest.raises(TrialFailed, match="sklearn"):
        apply(SHORT, replace(given, model=model, form="sklearn"))


def test_one_dimensional_convolutions() -> None:
    work = trained("Strip")
    after = apply(Qat(epochs=1, calibration_rows=50), work)
    assert share_right(after, work.rows.val) > share_right(work, work.rows.val) - 0.05


def test_zeros_of_a_pruned_layer_stay_zero() -> None:
    work = trained()
    pruned = Convolutions()
    pruned.load_state_dict(work.model.state_dict())
    with torch.no_grad():
        pruned.second.weight[:, :10] = 0
    after = apply(SHORT, replace(work, model=pruned.eval()))
    stored = [onnx.numpy_helper.to_array(t) for t in onnx.load_model_from_string(after.model).graph.initializer]
    (weight,) = [array for array in stored if array.shape == (16, 16, 3, 3)]
    assert not weight[:, :10].any() and weight[:, 10:].any()


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both ways"])
@pytest.mark.parametrize(("kind", "layers", "bias"), [("GRU", 1, True), ("LSTM", 2, True), ("GRU", 1, False)])
def test_recurrent_layers_written_out_answer_the_same(kind: str, layers: int, bias: bool, both: bool) -> None:
    torch.manual_seed(0)
    module = Recurrent(kind, both, layers, bias)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0, 0.4)
    work = lower(job(module))
    plain = unrolled(work)
    assert not operators(plain) & Counter(("GRU", "LSTM"))
    for rows in (work.rows.val.x, work.rows.val.x[:1]):
        wanted, got = (answers(m, torch.from_numpy(rows)) for m in (work.model, plain))
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_a_recurrent_layer_becomes_int8_products(tmp_path: Path) -> None:
    work = trained("GRU")
    after = apply(replace(SHORT, unroll=True), work)
    run = as_run(after.model, tmp_path)
    assert run["QGemm"] + run["QLinearMatMul"] + run["MatMulIntegerToFloat"] >= 8 and run["GRU"] == 0
    rows = work.rows.val
    assert share_right(after, rows) > share_right(work, rows) - 0.05


def test_operators_without_a_gradient_here_are_named() -> None:
    work = trained()
    model = onnx.load_model_from_string(lower(work).model)
    last = model.graph.node[-1]
    last.output[0] = "before"
    model.graph.node.append(helper.make_node("CumSum", ["before", "axis"], ["scores"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.int64(1), "axis"))
    odd = replace(work, model=model.SerializeToString(), form="onnx")
    before = fingerprint(odd)
    with pytest.raises(TrialFailed, match="no gradient here through CumSum; use static-int8"):
        apply(SHORT, odd)
    assert fingerprint(odd) == before


def test_named_columns_are_refused_with_what_to_do() -> None:
    given = samples.people()
    with pytest.raises(TrialFailed, match="return a Workload with prepare"):
        apply(SHORT, replace(given, model=torch.nn.Linear(1, 2), form="torch"))


def test_a_loss_that_is_not_a_number_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match="diverged"):
        apply(replace(SHORT, learning_rate=1e20, optimizer="sgd"), trained())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"ranges": "guessed"}, "ranges is one of learned, averaged, kept, got 'guessed'"),
        ({"precision": "bfloat16"}, "precision is 'float32' here"),
        ({"activations": "int4"}, "activations is"),
        ({"epochs": -1}, "epochs is"),
        ({"calibration_rows": 0}, "calibration_rows is"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Qat(**wrong)  # type: ignore[arg-type]


def test_the_network_given_is_left_alone_and_answers_are_probabilities() -> None:
    work = trained()
    before = fingerprint(work)
    after = apply(SHORT, work)
    assert fingerprint(work) == before
    got = framework.get("onnx").scores(after, work.rows.val.x)
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-3)


def test_a_grid_on_which_rows_come_is_not_learned() -> None:
    # a later value on the same grid must not change what the stored bytes mean
    scale, zero = (onnx.numpy_helper.from_array(a, n) for a, n in ((np.float32(0.5), "s"), (np.uint8(0), "z")))
    nodes = [
        helper.make_node("Identity", ["x"], ["i"]), helper.make_node("DequantizeLinear", ["i", "s", "z"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("QuantizeLinear", ["b", "s", "z"], ["c"]),
        helper.make_node("DequantizeLinear", ["c", "s", "z"], ["y"]),
    ]  # fmt: skip
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("x", 2, ["n", 3])], [info("y", 1, ["n", 3])], [scale, zero])
    made = QuantizedGraph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    assert not list(made.parameters())
    assert made(torch.tensor([[1, 2, 255]], dtype=torch.uint8)).tolist() == [[0.5, 1.0, 127.5]]
