"""The published networks as techniques: held to the contract, named as a baseline, through the usual chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trimwatt.errors import InputError
from trimwatt.framework.onnx import scores as onnx_scores
from trimwatt.framework.torch import macs, parameters, scores
from trimwatt.study import setup
from trimwatt.technique import registry
from trimwatt.technique._base import Technique, apply
from trimwatt.technique.architecture import (
    DeepResNet,
    EfficientNet,
    MobileNetV1,
    MobileNetV2,
    MobileNetV3,
    ShuffleNetV2,
    SqueezeNet,
)
from trimwatt.testing.samples import digits, people
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Data, Split, Workload

SMALL: dict[str, Technique] = {
    "v1": MobileNetV1(0.25), "v2": MobileNetV2(0.25, 8), "v3": MobileNetV3(0.35), "squeezenet": SqueezeNet(0.25),
    "efficientnet": EfficientNet(parameters=40_000), "shufflenet": ShuffleNetV2(0.25),
    "resnet18": DeepResNet(0.125, depth=18), "resnet20": DeepResNet(0.5),
}  # fmt: skip


class TestArchitectures(TechniqueContract):
    @pytest.fixture(params=["v2", "v3", "efficientnet", "squeezenet"])
    def technique(self, request: pytest.FixtureRequest) -> Technique:
        return SMALL[request.param]

    @pytest.fixture
    def workload(self) -> Workload:
        return digits("image", 200)


@pytest.mark.parametrize("name", SMALL)
def test_it_is_pruned_lowered_and_quantized(name: str) -> None:
    """Each is made smaller by its groups, answers in ONNX as in PyTorch, and its int8 answers stay near."""
    steps = registry()
    made = apply(SMALL[name], digits("image", 200))
    # squeeze and excitation ties channels to a second layer; padded ones cannot be followed
    scope = "inner" if name == "resnet20" else "all"
    pruned = apply(steps["prune-channels"](scope=scope, round_to=4), made)
    assert (parameters(pruned) or 0) < 0.75 * (parameters(made) or 0)
    lowered = apply(steps["lower"](), pruned)
    rows = made.rows.val.x
    np.testing.assert_allclose(onnx_scores(lowered, rows), scores(pruned, rows), atol=1e-4)
    quantized = apply(steps["static-int8"](), lowered)
    assert np.abs(onnx_scores(quantized, rows) - scores(pruned, rows)).mean() < 0.05
    assert b"QuantizeLinear" in quantized.model


def test_channels_that_pass_a_shuffle_are_left_alone() -> None:
    made = apply(SMALL["shufflenet"], digits("image", 200))
    pruned = apply(registry()["prune-channels"](scope="all", round_to=4), made)
    for stage in ("stage2", "stage3"):
        before, after = made.model.get_submodule(stage), pruned.model.get_submodule(stage)
        assert before[1].branch_main[5].out_channels == after[1].branch_main[5].out_channels
        assert before[1].branch_main[0].out_channels > after[1].branch_main[0].out_channels


def test_it_may_be_named_as_the_baseline() -> None:
    for name in ("mobilenet-v2", "efficientnet", "deep-resnet"):
        assert [step.name for step in setup.baseline(digits("image"), name).recipe][:2] == [name, "train"]


def coloured(height: int, width: int) -> Workload:
    rng = np.random.default_rng(0)
    parts = [Split(rng.integers(0, 256, (n, height, width, 3), dtype=np.uint8), np.arange(n) % 2) for n in (8, 4, 4)]
    return replace(digits("image"), data=Data(*parts, "image", ("a", "b")))


def test_pictures_need_not_be_square_nor_grey_and_may_be_shrunk() -> None:
    work = coloured(48, 36)
    full, small = (apply(MobileNetV2(0.25, resolution), work) for resolution in (None, 18))
    assert scores(small, work.rows.val.x).shape == (4, 2)
    assert (macs(small) or 0) < 0.75 * (macs(full) or 0)
    budget = 3_000_000
    assert budget / 2 < (macs(apply(EfficientNet(macs=budget), work)) or 0) < 1.1 * budget


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        (MobileNetV2, {"width": 0.0}, "width"),
        (MobileNetV2, {"resolution": 4}, "from 8"),
        (MobileNetV3, {"version": "tiny"}, "small, large"),
        (DeepResNet, {"depth": 50}, "depth is one of 18"),
        (EfficientNet, {"version": "b9"}, "b0, b1"),
        (EfficientNet, {"macs": 10, "parameters": 10}, "one of them"),
        (EfficientNet, {"macs": 10, "version": "b1"}, "one of them"),
        (EfficientNet, {"macs": 0}, "above zero"),
    ],
)
def test_parameters_are_checked(kind: type[Any], wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        kind(**wrong)


def test_what_is_no_picture_or_too_small_is_refused() -> None:
    with pytest.raises(InputError, match="takes images"):
        apply(MobileNetV2(), people())
    with pytest.raises(InputError, match="from 8 pixels"):
        apply(EfficientNet(), coloured(6, 12))
    for step in (MobileNetV2(resolution=16), EfficientNet(resolution=16)):
        with pytest.raises(InputError, match="above the 8 pixels"):
            apply(step, digits("image"))
