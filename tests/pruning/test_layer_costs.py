"""Costs of layers: models that compute what they stand for, grids that fit, more work that takes more time."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from onnx import load_model_from_string, numpy_helper
from pruning_samples import chain, drawn, on_images, pictures
from torch import nn
from torch.nn import functional

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import lower
from trimwatt.framework.onnx.run import open_session
from trimwatt.framework.torch.run import example
from trimwatt.framework.torch.shapes import LayerShape, layer_shapes
from trimwatt.profile import layers
from trimwatt.profile._models import SCALE, layer_model
from trimwatt.scenario import Scenario
from trimwatt.technique._base import apply
from trimwatt.technique.prune.budget import PruneBudget
from trimwatt.technique.prune.costs import LayerCosts
from trimwatt.workload import Array, Workload

CONV = LayerShape("", "conv", 0, 0, (2, 9, 7), (3, 3), (2, 1), (1, 0), (1, 1))
ONE = replace(CONV, kernel=(1, 1), stride=(1, 1), padding=(0, 0))
DEPTHWISE = replace(CONV, groups=2, padding=(1, 1))
DENSE, STEPS = LayerShape("", "dense", 0, 0, (3,)), LayerShape("", "dense", 0, 0, (2, 5))


def by_hand(shape: LayerShape, x: Array, weight: Array, bias: Array | None) -> Array:
    """One layer in PyTorch."""
    told, w = torch.tensor(x), torch.tensor(weight)
    b = None if bias is None else torch.tensor(bias)
    if shape.kind == "dense":
        return np.asarray(functional.linear(told, w.T, b))
    groups = x.shape[1] if shape.depthwise else 1
    return np.asarray(functional.conv2d(told, w, b, shape.stride, shape.padding, shape.dilation, groups))


@pytest.mark.parametrize(
    ("shape", "inputs", "outputs"), [(CONV, 3, 5), (DEPTHWISE, 1, 6), (DENSE, 7, 4), (STEPS, 6, 3)]
)
def test_copies_of_a_layer_sum_to_what_they_compute(shape: LayerShape, inputs: int, outputs: int) -> None:
    made, x = layer_model(shape, inputs, outputs, 3, False)
    known = {t.name: numpy_helper.to_array(t) for t in load_model_from_string(made).graph.initializer}
    plain, given = len(shape.rows) == 2 and shape.kind == "dense", x
    if shape.kind == "conv":
        given = by_hand(ONE, x, known["wbefore"], known["bbefore"])
    expected = sum(by_hand(shape, given, known[f"w{k}"], None if plain else known[f"b{k}"]) for k in range(3))
    np.testing.assert_allclose(open_session(made).run(None, {"x": x})[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "inputs", "outputs"), [(CONV, 3, 5), (DEPTHWISE, 1, 6), (DENSE, 7, 4), (STEPS, 6, 3)]
)
def test_int8_layers_take_and_give_bytes_and_compute_within_steps(shape: LayerShape, inputs: int, outputs: int) -> None:
    made, x = layer_model(shape, inputs, outputs, 1, True)
    assert x.dtype == np.uint8
    known = {t.name: numpy_helper.to_array(t) for t in load_model_from_string(made).graph.initializer}
    told = (x.astype(np.float32) - 128) * SCALE

    def step(shape: LayerShape, told: Array, name: str) -> Array:
        plain = len(shape.rows) == 2 and shape.kind == "dense"
        bias = None if plain else known[f"b{name}"].astype(np.float32) * SCALE**2
        real = by_hand(shape, told, known[f"w{name}"].astype(np.float32) * SCALE, bias)
        return np.clip(np.rint(real / SCALE), -128, 127) * SCALE

    told = step(ONE, told, "before") if shape.kind == "conv" else told
    expected = step(shape, told, "0") / SCALE + 128
    # a step that falls the other way in the first layer moves several in the second
    apart = np.abs(open_session(made).run(None, {"x": x})[0].astype(float) - expected)
    assert apart.max() <= (1 if shape.kind == "dense" else 6) and np.median(apart) <= 1


def quick(workload: Workload, **options: object) -> LayerCosts:
    return layers.measure(workload, rounds=3, block_s=0.0005, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_what_is_measured_can_be_spent(precision: str) -> None:
    workload = replace(pictures(), scenario=Scenario(batch_size=4))
    found = quick(workload, precision=precision, shares=(0.5,))
    assert (found.batch_size, found.threads, found.precision) == (4, 1, precision)
    assert LayerCosts.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert {(layer, i, o) for layer, i, o, _ in found.rows} == {
        ("0", 1, 4), ("0", 1, 8), *(("2", i, o) for i in (4, 8) for o in (8, 12)),
        *(("5", i, o) for i in (128, 192) for o in (8, 16)), ("7", 8, 10), ("7", 16, 10),
    }  # fmt: skip
    assert all(seconds >= 0 for *_, seconds in found.rows) and found.rest_s >= 0
    # times of three rounds are noise; what they say must be taken all the same
    even = tuple((layer, i, o, 1e-6 * i * o) for layer, i, o, _ in found.rows)
    less = apply(PruneBudget(0.7, even, importance="taylor"), workload).model
    assert sum(p.numel() for p in less.parameters()) < sum(p.numel() for p in workload.model.parameters())


def test_more_work_takes_more_time() -> None:
    wide = nn.Sequential(
        nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 4, 1),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip
    found = layers.measure(on_images(drawn(wide)), shares=(0.25,), rounds=7, block_s=0.002).tables()
    assert found["2"].at(64, 64) > 3 * found["2"].at(16, 16) > 0
    assert found["2"].at(64, 64) > 3 * found["4"].widest


def test_shapes_are_those_that_run() -> None:
    model = drawn(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 3, groups=2)))
    shapes = layer_shapes(model, torch.rand(2, 1, 8, 8))
    assert list(shapes) == ["0", "1"] and shapes["1"].depthwise and shapes["1"].rows == (2, 6, 6)
    twice = nn.Linear(8, 8)
    assert layer_shapes(nn.Sequential(twice, nn.ReLU(), twice), torch.rand(2, 8))["0"].runs == 2


def test_a_layer_is_the_difference_of_several_and_one() -> None:
    one, several = np.array([5.0, 9.0, 5.0]), np.array([11.0, 15.0, 30.0])
    assert layers._alone(several, one) == 3.0
    assert layers._alone(one, several) == 0.0


@pytest.mark.parametrize(("channels", "wanted"), [(64, [16, 32, 48, 64]), (16, [4, 8, 12, 16]), (6, [2, 3, 4, 6])])
def test_widths_are_whole_steps(channels: int, wanted: list[int]) -> None:
    assert layers.widths(channels, (0.25, 0.5, 0.75)) == wanted


def test_what_cannot_be_measured_is_said() -> None:
    workload = on_images(drawn(chain()))
    with pytest.raises(InputError, match="precision is 'float32' or 'int8', got 'int4'"):
        quick(workload, precision="int4")
    with pytest.raises(InputError, match="layers are measured of a PyTorch model, got a model as 'onnx'"):
        quick(lower(workload))
    with pytest.raises(InputError, match=r"shares are in \(0, 1\), got 2"):
        quick(workload, shares=(2.0,))
    head = on_images(drawn(nn.Sequential(nn.Flatten(), nn.Linear(64, 10))))
    with pytest.raises(TrialFailed, match="no layer of this network can be pruned by scope 'inner'"):
        quick(head)
    assert example(workload).shape == (2, 1, 8, 8)
