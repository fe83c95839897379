"""Lower resolution: pictures of even squares are answered as before, in float and behind int8's first layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import lower, open_session
from trimwatt.framework.torch import macs, scores
from trimwatt.framework.torch.pooled import Pooled
from trimwatt.metric import get
from trimwatt.technique import _graph, apply
from trimwatt.technique._base import Technique
from trimwatt.technique.architecture import SmallCnn, TorchMlp
from trimwatt.technique.inputs import Downsample
from trimwatt.technique.quantize import StaticInt8, _pixels
from trimwatt.testing.samples import digits, people
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Data, Split, Workload


class TestDownsample(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return Downsample()

    @pytest.fixture
    def workload(self) -> Workload:
        return apply(SmallCnn(8), digits("image", 300))


class Grey(nn.Module):
    """Bytes (n, h, w) or (n, h, w, 3) to logits (n, 2); the border is padded."""

    def __init__(self, channels: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 6, 3, stride=stride, padding=1)
        self.head = nn.Linear(6, 2)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels.permute(0, 3, 1, 2) if pixels.ndim == 4 else pixels.unsqueeze(1)
        x = torch.relu(self.convolution(x.float() / 256 - 0.375))
        return self.head(x.mean((2, 3)))


def pictures(shape: tuple[int, ...], stride: int = 1) -> Workload:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, *shape), dtype=np.uint8), rng.integers(0, 2, 40)
    split = Split(x, y)
    torch.manual_seed(0)
    module = Grey(shape[2] if len(shape) == 3 else 1, stride).eval()
    return Workload(Data(split, split, split, "image", (0, 1)), metric=get("accuracy"), model=module, form="torch")


@pytest.mark.parametrize("shape", [(12, 16), (12, 16, 3)])
@pytest.mark.parametrize("factor", [2, 3])
def test_even_squares_are_answered_as_the_smaller_picture(shape: tuple[int, ...], factor: int) -> None:
    small = pictures(shape)
    x = small.rows.val.x
    assert isinstance(x, np.ndarray)
    large = x.repeat(factor, axis=1).repeat(factor, axis=2)
    pooled = replace(small, model=Pooled(small.model, factor, first=False).eval())
    np.testing.assert_allclose(scores(pooled, large), scores(small, x), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_with_their_channels_first_are_averaged_over_height_and_width(channels: int) -> None:
    work = pictures((12, 16, channels))
    x = np.moveaxis(np.asarray(work.rows.val.x), 3, 1)
    split = Split(x, work.rows.val.y)
    module = nn.Sequential(Last(), work.model).eval()
    first = replace(work, data=Data(split, split, split, "image", (0, 1)), model=module)
    less = apply(Downsample(recalibrate=False), first)
    same = apply(Downsample(recalibrate=False), work)
    np.testing.assert_allclose(scores(less, x), scores(same, work.rows.val.x), atol=1e-6)


class Last(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.permute(0, 2, 3, 1)


def test_pixels_left_over_at_the_edge_are_averaged_too() -> None:
    seen: list[torch.Tensor] = []
    pooled = Pooled(nn.Flatten(), 2, first=False)
    pooled.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    pooled(torch.arange(9.0).reshape(1, 3, 3))
    torch.testing.assert_close(seen[0], torch.tensor([[[2.0, 3.5], [6.5, 8.0]]]))


@pytest.mark.parametrize("shape", [(12, 16), (12, 16, 3)])
@pytest.mark.parametrize("stride", [1, 2])
def test_int8_takes_the_averages_into_its_first_convolution(shape: tuple[int, ...], stride: int) -> None:
    work = lower(apply(Downsample(recalibrate=False), pictures(shape, stride)))
    model = _graph.tidy(work.model)
    before = _asked(model, work)
    assert _pixels.folded(model) == "exact"
    assert "AveragePool" not in {node.op_type for node in model.graph.node}
    np.testing.assert_allclose(_asked(model, work), before, atol=1e-4)
    int8 = onnx.load_model_from_string(apply(StaticInt8(), work).model)
    assert not {"AveragePool", "Cast"} & {node.op_type for node in int8.graph.node}


def test_borders_are_answered_as_before_where_each_channel_has_its_mean() -> None:
    work = pictures((12, 16, 3))
    shifted = nn.Sequential(Shift(), work.model).eval()
    work = lower(apply(Downsample(recalibrate=False), replace(work, model=shifted)))
    model = _graph.tidy(work.model)
    before = _asked(model, work)
    assert _pixels.folded(model) == "exact"
    np.testing.assert_allclose(_asked(model, work), before, atol=1e-4)


class Shift(nn.Module):
    """A mean of its own for each channel, in the pixels' unit."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float() - torch.tensor([10.0, 100.0, 200.0])


def test_a_squeeze_of_stored_grey_pixels_is_left_to_the_network() -> None:
    work = pictures((12, 16, 1))
    plain = nn.Sequential(Squeezed(), work.model).eval()
    model = _graph.tidy(lower(replace(work, model=plain)).model)
    assert _pixels.folded(model) == "no"
    assert apply(StaticInt8(), lower(replace(work, model=plain))).form == "onnx"


class Squeezed(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.squeeze(-1)


def test_a_wide_first_convolution_does_not_take_the_averages_over() -> None:
    work = pictures((16, 16))
    work.model.convolution = nn.Conv2d(1, 64, 5, padding=2)
    work.model.head = nn.Linear(64, 2)
    assert (
        _pixels.folded(_graph.tidy(lower(apply(Downsample(4), replace(work, model=work.model.eval()))).model)) == "no"
    )


def _asked(model: Any, work: Workload) -> Any:
    session = open_session(model.SerializeToString())
    return session.run(None, {session.get_inputs()[0].name: work.rows.val.x})[0]


def test_it_computes_a_quarter() -> None:
    work = pictures((16, 16))
    assert macs(apply(Downsample(), work)) == pytest.approx((macs(work) or 0) / 4, rel=0.01)


def test_what_it_cannot_take_is_refused() -> None:
    with pytest.raises(InputError, match="from 2"):
        Downsample(1)
    with pytest.raises(TrialFailed, match="table"):
        apply(Downsample(), apply(TorchMlp(), people()))
    with pytest.raises(TrialFailed, match="8 pixels a side cannot be divided by 5"):
        apply(Downsample(5), apply(SmallCnn(8), digits("image", 100)))
    fixed = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    with pytest.raises(TrialFailed, match="one size only"):
        apply(Downsample(), replace(apply(SmallCnn(8), digits("image", 100)), model=fixed))
