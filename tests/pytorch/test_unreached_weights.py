"""Weights that only padding meets stay numbers, and those that are none fail the export by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from trimwatt.framework import onnx
from trimwatt.framework import torch as framework
from trimwatt.framework.finite import find_unfinite
from trimwatt.framework.torch.reached import _Zeroing, zero_unreached
from trimwatt.technique._base import apply
from trimwatt.technique.architecture import SmallResNet
from trimwatt.technique.train import Train
from trimwatt.workload import Data, Decide, Split, Workload


class Narrow(nn.Module):
    """A convolution over pictures one pixel wide; in training its outer columns get what a backend may leave there."""

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolution(x).flatten(1).sum(dim=1)  # type: ignore[no-any-return]


def _reached_by_hand(make: Any, rows: torch.Tensor) -> torch.Tensor:
    """Which weights change an answer, found by changing each place of the kernel."""
    layer = make()
    with torch.no_grad():
        before = layer(rows)
        found = torch.zeros(layer.weight.shape[2:], dtype=torch.bool)
        for place in np.ndindex(*found.shape):
            kept = layer.weight[(slice(None), slice(None), *place)].clone()
            layer.weight[(slice(None), slice(None), *place)] += 1
            found[place] = not torch.equal(layer(rows), before)
            layer.weight[(slice(None), slice(None), *place)] = kept
    return found


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Conv2d(2, 3, 3, 2, 1), (4, 2, 15, 1)),
        (lambda: nn.Conv2d(2, 3, 3, 1, 1), (4, 2, 1, 2)),
        (lambda: nn.Conv2d(2, 3, 5, 2, 2), (4, 2, 3, 2)),
        (lambda: nn.Conv2d(2, 3, 3, 1, 2, dilation=2), (4, 2, 2, 9)),
        (lambda: nn.Conv2d(2, 3, (3, 1), (2, 1), (1, 0)), (4, 2, 1, 4)),
        (lambda: nn.Conv2d(2, 3, 3, padding="same"), (4, 2, 1, 3)),
        (lambda: nn.Conv2d(2, 3, 3, padding="valid"), (4, 2, 3, 3)),
        (lambda: nn.Conv1d(2, 3, 7, 1, 3), (4, 2, 3)),
        (lambda: nn.Conv2d(2, 3, 3, 1, 1), (4, 2, 8, 8)),
    ],
)
def test_the_weights_that_no_pixel_meets_are_those_that_change_nothing(make: Any, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    rows, look = torch.rand(shape) + 1, _Zeroing()
    with look:
        make()(rows)
    mask = next(iter(look._masks.values()))
    reached = torch.ones(make().weight.shape[2:], dtype=torch.bool) if mask is None else ~mask
    assert torch.equal(reached, _reached_by_hand(make, rows))


def test_what_the_backend_leaves_there_is_not_learned() -> None:
    torch.manual_seed(0)
    model, rows = Narrow(nn.Conv2d(2, 3, 3, 1, 1)), torch.rand(4, 2, 6, 1)
    weight = model.convolution.weight
    weight.register_hook(lambda grad: grad)
    with zero_unreached(model, rows):
        # the gradient as the backend hands it over, its unwritten part made visible
        answer = model(rows).sum()
        (node,) = [n for n in _nodes(answer.grad_fn) if type(n).__name__ == "ConvolutionBackward0"]
        node.register_hook(lambda grads, _: (grads[0], _spoilt(grads[1]), *grads[2:]))
        answer.backward()
    assert weight.grad is not None
    assert (weight.grad[..., [0, 2]] == 0).all() and (weight.grad[..., 1] != 0).all() and model.training


def _spoilt(grad: torch.Tensor) -> torch.Tensor:
    grad = grad.clone()
    grad[..., [0, 2]] = float("nan")
    return grad


def _nodes(node: Any) -> list[Any]:
    return [] if node is None else [node, *(inner for before, _ in node.next_functions for inner in _nodes(before))]


def test_a_network_of_narrow_pictures_is_trained_to_numbers() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 96)
    x = (rng.normal(size=(96, 120, 8)) + y[:, None, None]).astype(np.float32)
    split = Split(x, y)
    base = Workload(Data(split, split, split, "image", ("a", "b")), decide=Decide(("a", "b")))
    trained = apply(Train(epochs=2), apply(SmallResNet(8), base))
    assert find_unfinite(trained) is None
    assert max(float(p.detach().abs().max()) for p in trained.model.parameters()) < 100


def _spoil(workload: Workload, name: str, value: float) -> Workload:
    with torch.no_grad():
        workload.model.get_parameter(name).view(-1)[1] = value
    return workload


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(value: float) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    split = Split(x, (x[:, 0] > 0).astype(np.int64))
    base = Workload(Data(split, split, split, classes=(0, 1)), decide=Decide((0, 1)))
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    sound = framework.adopt(replace(base, model=net, form="torch"))
    assert find_unfinite(sound) is None and find_unfinite(onnx.lower(sound)) is None
    spoilt = _spoil(sound, "0.weight", value)
    assert find_unfinite(spoilt) == "1 of 12 weights of 0.weight are NaN or infinite; train it again"
    assert "weights of 0.weight" in str(find_unfinite(onnx.lower(spoilt)))
    estimator = LogisticRegression().fit(x, split.y)
    estimator.coef_[0, 2] = value
    found = find_unfinite(replace(base, model=estimator, form="sklearn"))
    assert found == "1 of 4 weights of LogisticRegression.coef_ are NaN or infinite; train it again"


def test_a_mask_may_be_infinite() -> None:
    net = nn.Linear(4, 2)
    net.register_buffer("mask", torch.full((4, 4), float("-inf")).triu(1))
    assert find_unfinite(Workload(model=net, form="torch")) is None
    net.mask[0, 0] = float("nan")  # type: ignore[index,operator]
    assert "weights of mask" in str(find_unfinite(Workload(model=net, form="torch")))
