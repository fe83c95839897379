"""Small transformer encoders on digits read row by row."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from trimwatt.technique._base import apply
from trimwatt.technique.train import Train
from trimwatt.testing.samples import digits
from trimwatt.workload import Data, Split, Workload

WIDTH, HEADS, NEURONS = 16, 4, 32


class SelfAttention(nn.Module):
    """Laid out as in BERT of transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.num_attention_heads, self.attention_head_size, self.all_head_size = HEADS, WIDTH // HEADS, WIDTH
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        shape = (*x.shape[:2], self.num_attention_heads, self.attention_head_size)
        q, k, v = (layer(x).view(shape).transpose(1, 2) for layer in (self.query, self.key, self.value))
        scores = q @ k.transpose(2, 3) * self.attention_head_size**-0.5 + mask
        seen = scores.softmax(-1) @ v
        return seen.transpose(1, 2).reshape(*x.shape[:2], self.all_head_size)  # type: ignore[no-any-return]


class Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int, norm: bool) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)
        if norm:
            self.LayerNorm = nn.LayerNorm(outputs)

    def forward(self, x: torch.Tensor, beside: torch.Tensor | None = None) -> torch.Tensor:
        x = self.dense(x)
        return nn.functional.gelu(x) if beside is None else self.LayerNorm(x + beside)  # type: ignore[no-any-return]


class Layer(nn.Module):
    """One encoder layer by BERT's names."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.Module()
        self.attention.self, self.attention.output = SelfAttention(), Dense(WIDTH, WIDTH, True)
        self.intermediate, self.output = Dense(WIDTH, NEURONS, False), Dense(NEURONS, WIDTH, True)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x = self.attention.output(self.attention.self(x, mask), x)  # type: ignore[operator]
        return self.output(self.intermediate(x), x)  # type: ignore[no-any-return]


class Bert(nn.Module):
    """Sequences (n, 8, 8), whose rows of zeros at the end are not read, to (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.layers = nn.Linear(8, WIDTH), nn.ModuleList(Layer() for _ in range(2))
        self.place, self.head = nn.Parameter(torch.zeros(8, WIDTH)), nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        known = (x.sum(2) != 0).float()
        states = self.embed(x) + self.place
        for layer in self.layers:
            states = layer(states, (known[:, None, None] - 1) * 1e9)
        total = (states * known[:, :, None]).sum(1) / known.sum(1, keepdim=True)
        return self.head(total)  # type: ignore[no-any-return]


class Plain(nn.Module):
    """The same with torch.nn.TransformerEncoder."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, NEURONS, 0.0, batch_first=batch_first, activation="gelu")
        self.embed, self.encoder = nn.Linear(8, WIDTH), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head, self.rows_first = nn.Linear(WIDTH, 10), batch_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, gone = self.embed(x), x.sum(2) == 0
        states = states if self.rows_first else states.transpose(0, 1)
        states = self.encoder(states, src_key_padding_mask=gone)
        states = states if self.rows_first else states.transpose(0, 1)
        return self.head((states * ~gone[:, :, None]).sum(1))  # type: ignore[no-any-return]


def drawn(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with weights drawn by `seed`, in evaluation mode."""
    draw = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.3
    return model.eval()


@cache
def sequences(rows: int = 500) -> Data:
    """Digits as sequences (n, 8, 8) float32 in 0 to 1, of every third the last two rows ended."""
    data = digits("image", rows).rows

    def floats(split: Split) -> Split:
        x = (split.x / 16).astype(np.float32)
        x[::3, 6:] = 0
        return Split(x, split.y)

    return replace(data, train=floats(data.train), val=floats(data.val), test=floats(data.test), kind="table")


def on_sequences(model: nn.Module, **more: Any) -> Workload:
    """Digits as sequences with `model`."""
    return replace(digits(), data=sequences(), model=model, form="torch", **more)


@cache
def trained() -> SimpleNamespace:
    """Both encoders, a few epochs trained."""
    return SimpleNamespace(
        bert=apply(Train(epochs=5), on_sequences(drawn(Bert()))),
        plain=apply(Train(epochs=5), on_sequences(drawn(Plain()))),
    )
