"""Static int8: the contract, where it is exact, where it refuses, and what the graph is afterwards."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx_samples import cnn, dense, job, mlp, model, regression

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import lower, scores
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph, apply
from trimwatt.technique.quantize import StaticInt8, _clean
from trimwatt.testing import samples
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Array, Workload


class TestContract(TechniqueContract):
    @pytest.fixture
    def technique(self) -> StaticInt8:
        return StaticInt8(calibration_rows=50)

    @pytest.fixture
    def workload(self) -> Workload:
        return mlp()


class TestContractOfValues(TechniqueContract):
    @pytest.fixture
    def technique(self) -> StaticInt8:
        return StaticInt8(calibration_rows=50)

    @pytest.fixture
    def workload(self) -> Workload:
        return regression()

    def test_values_stay_close(self, technique: StaticInt8, workload: Workload) -> None:
        x = workload.rows.val.x
        before, after = scores(workload, x), scores(apply(technique, workload), x)
        assert np.abs(after - before).mean() < 0.02 * np.ptp(before)


def images(shape: tuple[int, ...], rows: int = 90) -> Array:
    return np.random.default_rng(1).integers(0, 256, (rows, *shape)).astype(np.uint8)


# stored shape, transposition to channels first, output channels, stride, padding
LAYOUTS = {
    "channels last": ((16, 16, 3), (0, 3, 1, 2), 16, 1, 1),
    "channels first": ((3, 16, 16), None, 16, 1, 1),
    "grey": ((16, 16), None, 16, 1, 1),
    "wide": ((16, 16, 3), (0, 3, 1, 2), 64, 1, 1),
    "stride": ((16, 16, 3), (0, 3, 1, 2), 16, 2, 1),
    "no padding": ((16, 16, 3), (0, 3, 1, 2), 16, 1, 0),
    "odd": ((15, 13, 3), (0, 3, 1, 2), 16, 1, 1),
    "much padding": ((16, 16, 3), (0, 3, 1, 2), 8, 1, 2),
}


def made(layout: str) -> tuple[bytes, Array]:
    shape, order, outputs, stride, pads = LAYOUTS[layout]
    return cnn(["n", *shape], order, outputs, stride, pads, grey=len(shape) == 2), images(shape)


def operators(model: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model_from_string(model).graph.node)


def optimised(model: bytes, folder: Path) -> Counter[str]:
    """The operators ONNX Runtime really runs."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "run.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "run.onnx").graph.node)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cleaning_changes_no_answer(layout: str) -> None:
    source, x = made(layout)
    cleaned = _graph.finished(_clean.cleaned(_graph.tidy(source), {"x": x[:8]}))
    assert "DequantizeLinear" in operators(cleaned) and "Slice" not in operators(cleaned)
    before, after = (open_session(m).run(None, {"x": x})[0] for m in (source, cleaned))
    # grey pixels around the picture are rounded, by less than half a level
    bound = 3e-3 if layout == "grey" else 1e-5
    np.testing.assert_allclose(after, before, atol=bound * np.ptp(before) + 1e-5)


@pytest.mark.parametrize("layout", ["channels last", "channels first", "grey", "no padding"])
def test_pixels_enter_as_they_are(layout: str, tmp_path: Path) -> None:
    source, x = made(layout)
    work = job(source, x)
    run = optimised(apply(StaticInt8(calibration_rows=30), work).model, tmp_path)
    assert run["QLinearConv"] == 3 and run["QLinearAdd"] == 1, run
    left_in_float = {"Conv", "Cast", "Div", "Sub", "Mul", "Slice", "QuantizeLinear", "ReduceMean"}
    assert not left_in_float & set(run), run
    assert run["DequantizeLinear"] <= 1


def test_without_cleaning_scaling_and_shortcut_stay_in_float(tmp_path: Path) -> None:
    source, x = made("channels last")
    run = optimised(apply(StaticInt8(calibration_rows=30, clean=False), job(source, x)).model, tmp_path)
    assert run["QLinearConv"] == 2 and run["Pad"] and run["Cast"] and run["Div"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_int8_answers_nearly_as_float(layout: str) -> None:
    source, x = made(layout)
    quantized = apply(StaticInt8(calibration_rows=30), job(source, x)).model
    before, after = (open_session(m).run(None, {"x": x})[0] for m in (source, quantized))
    assert np.abs(after - before).max() < 0.05 * np.ptp(before)


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_weights_and_activations_on_the_grid_are_kept_exactly(activations: Any) -> None:
    """One layer whose weights and rows are multiples of their own scales."""
    rng = np.random.default_rng(5)
    levels = np.concatenate([rng.integers(-127, 128, (29, 4)), np.full((1, 4), 127)])
    nodes, _ = dense(0, (30, 4))
    weights = {"w0": (levels / 64).astype(np.float32), "b0": np.zeros(4, np.float32)}
    x = rng.integers(-128, 128, (90, 30)).astype(np.float32)
    x[:, 0], x[:, 1] = -128, 127
    work = job(model(nodes, weights, ["n", 30]), x)
    quantized = apply(StaticInt8(activations=activations, calibration_rows=30), work).model
    before, after = (open_session(m).run(None, {"x": x})[0] for m in (work.model, quantized))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-3)


def test_scores_are_not_rounded_to_256_levels() -> None:
    work = mlp()
    quantized = apply(StaticInt8(), work)
    assert len(np.unique(scores(quantized, work.rows.val.x)[:, 0])) > 100
    agree = scores(quantized, work.rows.val.x).argmax(1) == scores(work, work.rows.val.x).argmax(1)
    assert agree.mean() > 0.95


def test_kept_layers_stay_in_float() -> None:
    source, x = made("channels last")
    work = job(source, x)

    def floats(*kept: str) -> int:
        graph = onnx.load_model_from_string(
            apply(StaticInt8(keep_float=kept, calibration_rows=9, float_head=False), work).model
        ).graph
        known = {tensor.name: tensor.data_type for tensor in graph.initializer}
        return sum(
            known.get(node.input[1]) == onnx.TensorProto.FLOAT for node in graph.node if node.op_type in _graph.LAYERS
        )

    assert floats() == 0
    assert floats("first") == floats("last") == floats("second conv") == 1
    assert floats("first", "second conv", "last") == 3


def test_a_layer_that_is_not_there_is_named() -> None:
    with pytest.raises(
        InputError, match=r"keep_float names 'conv9', which is no layer of this model; layers are .*layer0"
    ):
        nodes, weights = dense(0, (8, 6, 4))
        rows = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
        apply(StaticInt8(keep_float=("conv9",)), job(model(nodes, weights, ["n", 8]), rows))


def test_trees_have_nothing_to_quantize() -> None:
    from sklearn.tree import DecisionTreeClassifier

    given = samples.digits()
    tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(given.rows.train.x, given.rows.train.y)
    work = lower(replace(given, model=tree, form="sklearn", outputs="probabilities"))
    with pytest.raises(TrialFailed, match=r"no layer of this model has an int8 kernel: .*TreeEnsemble\w+ 1"):
        apply(StaticInt8(), work)


def test_twice_is_refused() -> None:
    once = apply(StaticInt8(calibration_rows=20), mlp())
    with pytest.raises(TrialFailed, match="quantized already"):
        apply(StaticInt8(), once)


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_other_ways_to_find_ranges(method: Any, capfd: pytest.CaptureFixture[str]) -> None:
    work = mlp()
    quantized = apply(StaticInt8(method=method, calibration_rows=60), work)
    agree = scores(quantized, work.rows.val.x).argmax(1) == scores(work, work.rows.val.x).argmax(1)
    assert agree.mean() > 0.9
    assert capfd.readouterr() == ("", "")


def test_says_nothing_and_leaves_no_handler(capfd: pytest.CaptureFixture[str]) -> None:
    before = list(logging.getLogger().handlers)
    apply(StaticInt8(calibration_rows=20), mlp())
    assert logging.getLogger().handlers == before
    assert capfd.readouterr() == ("", "")


def test_stale_sizes_in_the_file_do_no_harm() -> None:
    nodes, weights = dense(0, (8, 16, 4))
    broken = onnx.load_model_from_string(model(nodes, weights, ["n", 8]))
    broken.graph.value_info.append(onnx.helper.make_tensor_value_info("h0", onnx.TensorProto.FLOAT, ["n", 1024]))
    rows = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    made = apply(StaticInt8(calibration_rows=20), job(broken.SerializeToString(), rows))
    assert b"QuantizeLinear" in made.model


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"activations": "int4"}, "activations is 'uint8' or 'int8', got 'int4'"),
        ({"method": "max"}, "method is one of minmax, percentile, entropy, mse, got 'max'"),
        ({"keep_float": "last"}, r"keep_float is a tuple of layers, got 'last'; write \('last',\)"),
        ({"calibration_rows": 0}, "calibration_rows is a whole number from 1, got 0"),
    ],
)
def test_wrong_parameters_are_explained(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StaticInt8(**wrong)


def images_workload(kind: Any, x: Array, outputs: int = 16) -> Workload:
    """Images with fitted preprocessing apart from the model, which sees floats."""
    from trimwatt.framework.prepare import fit_prepare

    work = job(b"", x)
    prepare = fit_prepare(work.rows, kind)
    prepared = prepare.transform(x[:1]).shape[1:]
    if kind == "scaled":
        nodes, weights = dense(2, (prepared[0], 24, 4))
        return replace(work, prepare=prepare, model=model(nodes, weights, ["n", *prepared]))
    rng = np.random.default_rng(6)
    weights = {
        "w": (rng.normal(size=(outputs, prepared[0], 3, 3)) / 5).astype(np.float32),
        "b": np.zeros(outputs, np.float32),
        "head": rng.normal(size=(outputs, 4)).astype(np.float32),
    }
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1] * 4),
        onnx.helper.make_node("Relu", ["c"], ["r"], name="relu"),
        onnx.helper.make_node("GlobalAveragePool", ["r"], ["g"], name="pool"),
        onnx.helper.make_node("Flatten", ["g"], ["f"], name="flat"),
        onnx.helper.make_node("MatMul", ["f", "head"], ["y"], name="head"),
    ]
    return replace(work, prepare=prepare, model=model(nodes, weights, ["n", *prepared]))


@pytest.mark.parametrize("kind", ["nchw", "scaled"])
@pytest.mark.parametrize("shape", [(12, 12), (12, 12, 1), (12, 12, 3)])
def test_preprocessing_of_images_becomes_part_of_int8(kind: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    work = images_workload(kind, images(shape))
    quantized = apply(StaticInt8(calibration_rows=30), work)
    assert quantized.prepare is None and work.prepare is not None
    run = optimised(quantized.model, tmp_path)
    assert not {"Cast", "Sub", "Mul", "QuantizeLinear"} & set(run), run
    assert run["DequantizeLinear"] == (kind == "nchw"), "before the head, which stays in float"
    np.testing.assert_allclose(scores(quantized, work.rows.val.x), scores(work, work.rows.val.x), atol=0.05)
    named = apply(StaticInt8(calibration_rows=30, keep_float=("head" if kind == "nchw" else "layer1",)), work)
    assert named.prepare is None


def test_preprocessing_stays_where_it_cannot_be_folded() -> None:
    x = images((12, 12, 3))
    as_float, kept = images_workload("nchw", x.astype(np.float32)), images_workload("nchw", x)
    assert apply(StaticInt8(calibration_rows=30), as_float).prepare is as_float.prepare
    for technique in (
        StaticInt8(calibration_rows=30, clean=False),
        StaticInt8(calibration_rows=30, keep_float=("first",)),
    ):
        assert apply(technique, kept).prepare is kept.prepare


@pytest.mark.parametrize("shift", [0.0, -0.4567])
def test_bytes_enter_a_dense_layer_exactly(shift: float) -> None:
    nodes, weights = dense(3, (12, 16, 4))
    nodes[0].input[0] = "centred"
    node = onnx.helper.make_node
    before = [
        node("Flatten", ["x"], ["flat"], name="flat"),
        node("Cast", ["flat"], ["float"], name="cast", to=1),
        node("Div", ["float", "depth"], ["unit"], name="unit"),
        node("Add", ["unit", "shift"], ["centred"], name="shift"),
    ]
    weights |= {"depth": np.float32(255), "shift": np.float32(shift)}
    source, x = model(before + nodes, weights, ["n", 4, 3], onnx.TensorProto.UINT8), images((4, 3))
    tidied = _graph.tidy(source)
    cleaned = _graph.finished(_clean.cleaned(tidied, {"x": x[:8]}))
    assert "Cast" not in operators(cleaned) and "Div" not in operators(cleaned)
    old, new = (open_session(m).run(None, {"x": x})[0] for m in (source, cleaned))
    np.testing.assert_allclose(new, old, atol=1e-5)


def test_signals_are_pooled_as_pictures_are() -> None:
    rng, make = np.random.default_rng(0), onnx.helper.make_node
    weights = {"w": rng.normal(size=(16, 4, 3)).astype(np.float32), "head": rng.normal(size=(16, 4)).astype(np.float32)}
    nodes = [
        make("Conv", ["x", "w"], ["c"], name="conv"), make("Relu", ["c"], ["r"], name="relu"),
        make("GlobalAveragePool", ["r"], ["g"], name="pool"), make("Flatten", ["g"], ["f"], name="flat"),
        make("MatMul", ["f", "head"], ["y"], name="head"),
    ]  # fmt: skip
    x = rng.normal(size=(90, 4, 20)).astype(np.float32)
    work = job(model(nodes, weights, ["n", 4, 20]), x)
    quantized = apply(StaticInt8(calibration_rows=30), work)
    np.testing.assert_allclose(scores(quantized, x), scores(work, x), atol=0.05)
