"""Small networks on digits that the tests of this folder prune."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from torch import nn

from trimwatt.technique._base import apply
from trimwatt.technique.architecture import SmallResNet, TorchMlp
from trimwatt.technique.train import Train
from trimwatt.testing.samples import digits
from trimwatt.workload import Workload


def drawn(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with weights drawn by `seed`, in evaluation mode."""
    draw = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw, dtype=torch.float32).to(parameter.dtype) * 0.2
    return model.eval()


def chain() -> nn.Sequential:
    """Images (n, 1, 8, 8) to (n, 10): two convolutions and two dense layers."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 16, 16),
        nn.ReLU(), nn.Linear(16, 10),
    )  # fmt: skip


def on_images(model: nn.Module, rows: int = 300) -> Workload:
    """Digits as images, prepared to (n, 1, 8, 8), with `model`."""
    return replace(apply(SmallResNet(), digits("image", rows)), model=model)


@cache
def trained() -> Workload:
    """A dense network that has learned the digits."""
    return apply(Train(epochs=8), apply(TorchMlp((48, 32)), digits()))


@cache
def pictures() -> Workload:
    """`chain`, a few epochs trained."""
    return apply(Train(epochs=4, flip=False), on_images(drawn(chain()), 600))
