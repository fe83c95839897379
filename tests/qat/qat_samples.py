"""Small networks and one training, shared by the tests of this folder."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from trimwatt import framework
from trimwatt.technique import apply
from trimwatt.technique.train import Train
from trimwatt.testing import samples
from trimwatt.workload import Decide, Split, Workload


class Convolutions(nn.Module):
    """uint8 or float images (n, 8, 8): batch normalization to fold, a shortcut, a mean over pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.second, self.third = nn.Conv2d(16, 16, 3, 1, 1), nn.Conv2d(16, 32, 3, 2, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.first(x[:, None].float() / 16)))
        x = torch.relu(self.third(x + self.second(x)))
        out: torch.Tensor = self.head(x.mean((2, 3)))
        return out


class Strip(nn.Module):
    """One-dimensional convolutions over rows (n, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv1d(1, 8, 5, 2), nn.Conv1d(8, 16, 3, 2), nn.Linear(16 * 14, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x[:, None].float() / 16))
        out: torch.Tensor = self.head(torch.relu(self.second(x)).flatten(1))
        return out


class Recurrent(nn.Module):
    """A recurrent layer that reads an image (n, 8, 8) line by line."""

    def __init__(self, kind: str, both: bool = False, layers: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.layer: Any = getattr(nn, kind)(8, 12, layers, batch_first=True, bidirectional=both, bias=bias)
        self.head = nn.Linear(12 * (1 + both), 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.layer(x.float() / 8 - 1)
        out: torch.Tensor = self.head(states[:, -1])
        return out


def job(module: nn.Module, kind: Any = "image", rows: int = 600) -> Workload:
    """The module, untrained, on handwritten digits."""
    return replace(samples.digits(kind, rows), model=module.eval(), form="torch", decide=Decide(tuple(range(10))))


@cache
def trained(name: str = "Convolutions") -> Workload:
    """A network that has seen the digits a few times."""
    torch.manual_seed(0)
    made = {"Convolutions": Convolutions, "Strip": Strip, "GRU": lambda: Recurrent("GRU")}[name]()
    work = job(made, "table" if name == "Strip" else "image")
    plain = {} if name == "Strip" else {"flip": False, "shift": 0}
    return apply(Train(epochs=4, batch=32, **plain), work)


@cache
def clothes(rows: int = 400) -> Workload:
    """The same network on images of bytes, which enter int8 as they are."""
    work = trained()

    def bytes_of(split: Split) -> Split:
        return Split((split.x * 15).astype(np.uint8), split.y)

    data = work.rows
    return replace(
        work, data=replace(data, train=bytes_of(data.train), val=bytes_of(data.val), test=bytes_of(data.test))
    )


def share_right(work: Workload, split: Split) -> float:
    """Accuracy."""
    return float((framework.get(work.form).scores(work, split.x).argmax(1) == split.y).mean())
