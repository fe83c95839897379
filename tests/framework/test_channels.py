"""A given network tells where the channels of stored pictures stand."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trimwatt.framework import channels
from trimwatt.framework.torch.augment import layout
from trimwatt.metric import get
from trimwatt.scenario import Scenario
from trimwatt.study import setup
from trimwatt.workload import Data, Split, Workload

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class FromLast(nn.Module):
    def __init__(self, taken: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(taken, 2, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.convolution(pixels.permute(0, 3, 1, 2)).mean((2, 3))


def _first(taken: int, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(taken, 4 * groups, 3, groups=groups), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * groups, 2)
    )


def _data(shape: tuple[int, ...]) -> Data:
    rng = np.random.default_rng(0)
    split = Split(rng.normal(size=(40, *shape)).astype(np.float32), np.arange(40) % 2)
    return Data(split, split, split, "image", (0, 1))


def _onnx(module: nn.Module, shape: tuple[int, ...]) -> bytes:
    file, named = io.BytesIO(), {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
    torch.onnx.export(module.eval(), (torch.zeros(1, *shape),), file, dynamo=False, **named)
    return file.getvalue()


def _adopted(model: Any, data: Data) -> Workload:
    return setup.workload(
        model, data, metric_name=None, positive=None, scenario=Scenario(), seed=0, train=False,
        outputs="logits",
    )  # fmt: skip


@pytest.mark.parametrize("form", ["torch", "script", "onnx"])
@pytest.mark.parametrize(
    ("module", "shape", "first"),
    [
        (_first(12), (12, 10, 11), True),
        (FromLast(11), (12, 10, 11), False),
        (_first(3), (3, 9, 9), True),
        (_first(8), (8, 8, 16), True),
        (FromLast(16), (8, 8, 16), False),
    ],
)
def test_a_given_network_tells_where_the_channels_stand(
    form: str, module: nn.Module, shape: tuple[int, ...], first: bool, tmp_path: Any
) -> None:
    model: Any = module.eval()
    if form == "script":
        model = torch.jit.trace(model, torch.zeros(2, *shape))
    if form == "onnx":
        model = tmp_path / "model.onnx"
        model.write_bytes(_onnx(module, shape))
    picture = _adopted(model, _data(shape)).rows.picture
    assert picture is not None and picture.channels_first is first


@pytest.mark.parametrize("form", ["torch", "onnx"])
def test_channels_in_groups_are_counted_together(form: str) -> None:
    shape, module = (12, 10, 11), _first(12, groups=4)
    model = _onnx(module, shape) if form == "onnx" else module
    assert channels.taken(Workload(_data(shape), model=model, form=form)) == 12  # type: ignore[arg-type]


@pytest.mark.parametrize(("module", "axes"), [(_first(12), (2, 3)), (FromLast(11), (1, 2))])
def test_pictures_are_moved_over_height_and_width_in_either_order(module: nn.Module, axes: tuple[int, int]) -> None:
    work = Workload(_data((12, 10, 11)), metric=get("accuracy"), model=module.eval(), form="torch")
    assert layout(channels.located(work), asked=False) == axes


def test_tables_and_what_is_known_stay_as_they_are() -> None:
    work = Workload(_data((12, 10, 11)), model=_first(12), form="torch")
    known = replace(work, data=replace(work.rows, channels_first=False))
    assert channels.located(known) is known
    split = Split(np.zeros((4, 3), np.float32), np.zeros(4, np.int64))
    table = replace(work, data=Data(split, split, split))
    assert channels.located(table) is table
