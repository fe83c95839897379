"""Facts of rounding to a grid: what stays, what is cut off, and what the gradient is told."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from trimwatt.framework.onnx.run import open_session
from trimwatt.framework.torch.fakequant import Grid, fake, levels

SCALES = st.floats(2.0**-12, 8, width=32, allow_subnormal=False)


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float32)


@given(SCALES, st.integers(0, 255), st.integers(0, 255))
def test_a_grid_point_is_itself(scale: float, zero: int, level: int) -> None:
    point = (number(level) - zero) * number(scale)
    assert levels(point, number(scale), number(zero), 0, 255) == level
    assert fake(point, number(scale), number(zero), 0, 255) == point


@given(
    SCALES,
    st.integers(-100, 100),
    st.lists(st.floats(-1000, 1000, width=32, allow_subnormal=False), min_size=1, max_size=20),
)
def test_inside_the_grid_nothing_is_off_by_more_than_half_a_step(scale: float, zero: int, x: list[float]) -> None:
    given_x = torch.tensor(x, dtype=torch.float32)
    got = fake(given_x, number(scale), number(zero), -128, 127)
    low, high = (-128 - zero) * scale, (127 - zero) * scale
    wanted = given_x.clamp(low, high)
    assert ((got - wanted).abs() <= 0.5001 * scale + 1e-4 * wanted.abs()).all()


def test_the_gradient_passes_inside_and_is_zero_outside() -> None:
    x = torch.tensor([-3.0, -0.4, 0.2, 7.3, 12.6, 13.5, 40.0], requires_grad=True)
    fake(x, number(0.05), number(0), 0, 255).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 1, 1, 1, 0, 0]


def test_the_step_learns_as_lsq_says() -> None:
    # Esser et al. 2020, equation 3: round(v) - v inside, the end of the grid outside, with v = x / s
    x, scale = torch.tensor([0.26, -90.0, 200.0, 0.74]), torch.tensor(0.5, requires_grad=True)
    for one, wanted in zip(x, (1 - 0.52, -128.0, 127.0, 1 - 1.48), strict=True):
        scale.grad = None
        fake(one[None], scale, number(0), -128, 127).sum().backward()
        assert scale.grad is not None and float(scale.grad) == pytest.approx(wanted, abs=1e-5)


def test_halves_go_to_even_as_in_onnx_runtime() -> None:
    x = (np.arange(-600, 600) / 4).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])], "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, ["n"])],
        [onnx.numpy_helper.from_array(np.float32(0.5), "s"), onnx.numpy_helper.from_array(np.uint8(3), "z")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    wanted = open_session(model.SerializeToString()).run(None, {"x": x})[0]
    assert (levels(torch.from_numpy(x), number(0.5), number(3), 0, 255).numpy() == wanted).all()


def test_each_channel_has_its_own_scale() -> None:
    grid = Grid(torch.tensor([0.1, 1.0]), torch.zeros(2), -127, 127)
    x = torch.tensor([[0.34, 0.34], [5.4, 5.4]])
    torch.testing.assert_close(grid.values(grid.levels(x, 1), 1), torch.tensor([[0.3, 0.0], [5.4, 5.0]]))
    torch.testing.assert_close(grid.values(grid.levels(x, 0), 0), torch.tensor([[0.3, 0.3], [5.0, 5.0]]))


def test_averages_follow_what_passes_only_in_training() -> None:
    grid = Grid(number(1.0), number(0), 0, 255, "averaged").eval()
    grid.levels(torch.tensor([51.0]))
    assert float(grid.distance()) == 1
    grid.train()
    for _ in range(200):
        grid.levels(torch.tensor([-80.0, 51.0]))
    assert float(grid.distance()) == pytest.approx(51 / 255, rel=0.01)
    assert not list(grid.parameters())
    both = Grid(number(1.0), number(128), 0, 255, "averaged").train()
    for _ in range(200):
        both.levels(torch.tensor([-64.0, 10.0]))
    assert float(both.distance()) == pytest.approx(0.5, rel=0.01)
