"""Small recurrent networks on digits read row by row."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from trimwatt.technique._base import apply
from trimwatt.technique.train import Train
from trimwatt.testing.samples import digits
from trimwatt.workload import Data, Split, Workload


class Reads(nn.Module):
    """Sequences (n, 8, 8) to (n, 10): a recurrent layer, its states taken as `how` says, a dense layer."""

    def __init__(self, layer: nn.Module, how: str = "last") -> None:
        super().__init__()
        self.rnn, self.how = layer, how
        ways = 2 if layer.bidirectional else 1  # type: ignore[truthy-bool]
        self.head = nn.Linear(layer.hidden_size * ways, 10)  # type: ignore[operator, arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output, states = self.rnn(x)
        states = states[0] if isinstance(states, tuple) else states
        if self.how == "last":
            return self.head(output[:, -1])  # type: ignore[no-any-return]
        if self.how == "final":
            return self.head(torch.cat(list(states[-2:]), 1))  # type: ignore[no-any-return]
        return self.head(torch.relu(output).mean(1))  # type: ignore[no-any-return]


def drawn(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with weights drawn by `seed`, in evaluation mode."""
    draw = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.4
    return model.eval()


@cache
def sequences(rows: int = 400) -> Data:
    """Digits as sequences (n, 8, 8) float32 in 0 to 1."""
    data = digits("image", rows).rows

    def floats(split: Split) -> Split:
        return Split((split.x / 16).astype(np.float32), split.y)

    return replace(data, train=floats(data.train), val=floats(data.val), test=floats(data.test), kind="table")


def on_sequences(model: nn.Module, **more: Any) -> Workload:
    """Digits as sequences with `model`."""
    return replace(digits(), data=sequences(), model=model, form="torch", **more)


@cache
def trained() -> Workload:
    """A GRU of 24 units that has learned something."""
    return apply(Train(epochs=6), on_sequences(drawn(Reads(nn.GRU(8, 24, batch_first=True)))))
