"""Random small PyTorch modules, with labels that follow their own answers."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _case import Case, tells_classes_apart
from torch import nn
from torch.nn.utils import prune

Rng = np.random.Generator
ROWS = (160, 80, 80)


class Flat(nn.Module):
    """Drops the last axis where it is one."""

    def forward(self, answers: torch.Tensor) -> torch.Tensor:
        return answers.squeeze(1)


class Clamp(nn.Module):
    """Keeps a probability off 0 and 1."""

    def forward(self, answers: torch.Tensor) -> torch.Tensor:
        return answers.clamp(1e-4, 1 - 1e-4)


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows + self.inner(rows)


class Pixels(nn.Module):
    """uint8 (n, h, w) or (n, h, w, c) as stored, to float (n, c, h, w)."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        images = rows.float() / 255
        return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)


class LastState(nn.Module):
    """A GRU or LSTM over (n, steps) or (n, steps, channels), its last output."""

    def __init__(self, kind: type[nn.RNNBase], width: int) -> None:
        super().__init__()
        self.cell = kind(1, width, batch_first=True)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        out, _ = self.cell(rows[..., None])
        return out[:, -1]


def _dense(rng: Rng, width: int) -> tuple[list[nn.Module], int]:
    layers: list[nn.Module] = []
    for _ in range(rng.integers(1, 4)):
        out = int(rng.integers(3, 12))
        layers += [nn.Linear(width, out), _between(rng, out), _activation(rng)]
        width = out
    if rng.random() < 0.3:
        layers.append(Residual(nn.Sequential(nn.Linear(width, width), nn.Tanh())))
    return layers, width


def _between(rng: Rng, width: int) -> nn.Module:
    kinds: list[Callable[[], nn.Module]] = [
        nn.Identity, lambda: nn.BatchNorm1d(width), lambda: nn.LayerNorm(width), lambda: nn.Dropout(0.3),
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))]()


def _activation(rng: Rng) -> nn.Module:
    kinds = (nn.ReLU, nn.GELU, nn.Tanh, nn.SiLU, nn.LeakyReLU, nn.ELU, nn.Softplus)
    return kinds[rng.integers(len(kinds))]()


def _images(rng: Rng, shape: tuple[int, ...]) -> tuple[list[nn.Module], int]:
    channels = shape[2] if len(shape) == 3 else 1
    width = int(rng.integers(2, 7))
    layers: list[nn.Module] = [
        Pixels(),
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width),
        _activation(rng),
    ]
    if rng.random() < 0.5:
        layers += [nn.MaxPool2d(2), nn.Conv2d(width, width, 3, padding=1, groups=width), _activation(rng)]
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()], width


def _tail(rng: Rng, width: int, classes: int) -> tuple[list[nn.Module], str]:
    """The last layers, and how the user reads them: "sign", "half" (of one column), "best" or "value"."""
    if classes == 0:
        return [nn.Linear(width, 1), *([Flat()] if rng.random() < 0.5 else [])], "value"
    flat = [Flat()] if rng.random() < 0.5 else []
    if classes == 2 and rng.random() < 0.7:
        last = [[], [nn.Sigmoid()], [nn.Sigmoid(), Clamp()]][rng.integers(3)]
        return [nn.Linear(width, 1), *last, *flat], "half" if last else "sign"
    last = [[], [nn.Softmax(1)], [nn.LogSoftmax(1)], [nn.Sigmoid()]][rng.integers(4)]
    return [nn.Linear(width, classes), *last], "best"


def _dress(rng: Rng, model: nn.Module, rows: torch.Tensor) -> nn.Module:
    """As people leave a model: frozen, with hooks that cannot be copied, traced, scripted."""
    wear = rng.choice(["", "", "frozen", "frozen", "weight_norm", "lock", "pruned", "traced", "scripted"])
    linear = next((m for m in model.modules() if isinstance(m, nn.Linear)), None)
    if wear == "frozen":
        model.requires_grad_(False)
    elif wear == "weight_norm" and linear is not None:
        torch.nn.utils.weight_norm(linear)
        model(rows[:4]).sum().backward()
    elif wear == "lock":
        model.lock = threading.Lock()  # type: ignore[assignment]
    elif wear == "pruned" and linear is not None:
        prune.l1_unstructured(linear, "weight", 0.3)
    elif wear == "traced":
        return torch.jit.trace(model, rows[:2])
    elif wear == "scripted":
        return torch.jit.script(model)
    return model


def _rows(rng: Rng, shape: tuple[int, ...], image: bool) -> Any:
    if image:
        return rng.integers(0, 256, (sum(ROWS), *shape)).astype("uint8")
    return rng.normal(size=(sum(ROWS), *shape)).astype("float32")


def draw_module(rng: Rng) -> Case:
    """A module that answers, with the rows it answers and labels that are mostly its own answers."""
    return next(case for case in iter(lambda: _draw(rng), None) if tells_classes_apart(case))


def _draw(rng: Rng) -> Case:
    torch.manual_seed(int(rng.integers(2**31)))
    classes = int(rng.choice([0, 2, 2, 3, 5]))
    image = rng.random() < 0.3
    shape: tuple[int, ...] = ((8, 8), (8, 8, 3))[rng.integers(2)] if image else (int(rng.integers(3, 10)),)
    if image:
        layers, width = _images(rng, shape)
    elif rng.random() < 0.15:
        width = int(rng.integers(3, 8))
        layers = [LastState((nn.GRU, nn.LSTM)[rng.integers(2)], width)]
    else:
        layers, width = _dense(rng, shape[0])
    tail, reading = _tail(rng, width, classes)
    model = nn.Sequential(*layers, *tail)
    x = _rows(rng, shape, image)
    _settle(model, torch.from_numpy(x))
    model = _dress(rng, model.eval(), torch.from_numpy(x))
    answers = _answers(model, x)
    own = _read(answers, reading)
    y = _noisy(rng, own, reading)
    ends = np.cumsum([0, *ROWS])
    data = [(x[a:b], y[a:b]) for a, b in itertools.pairwise(ends)]
    name = f"{reading} {x.dtype}{list(shape)} {type(model).__name__} {model}".replace("\n", " ")
    return Case(name, model, tuple(data), classes > 0, data[1][0], own[ends[1] : ends[2]])


def _settle(model: nn.Module, rows: torch.Tensor) -> None:
    """Statistics of normalisation, and a last layer whose answers spread over the classes."""
    with torch.no_grad():
        model.train()
        for _ in range(3):
            model(rows)
        model.eval()
        last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
        seen: list[torch.Tensor] = []
        hook = last.register_forward_hook(lambda _m, _i, out: seen.append(out))
        model(rows)
        hook.remove()
        scale = 2 / seen[0].std(0).clamp(min=1e-3)
        last.weight.mul_(scale[:, None])
        last.bias.copy_((last.bias - seen[0].mean(0)) * scale)


def _answers(model: nn.Module, x: Any) -> Any:
    with torch.no_grad():
        return model(torch.from_numpy(x)).numpy()


def _read(answers: Any, reading: str) -> Any:
    if reading == "best":
        return answers.argmax(1)
    column = answers.reshape(len(answers))
    return column if reading == "value" else (column > (0 if reading == "sign" else 0.5)).astype(np.int64)


def _noisy(rng: Rng, own: Any, reading: str) -> Any:
    """The truth: the model's own answers, wrong in a few rows."""
    if reading == "value":
        return own + 0.1 * np.std(own) * rng.normal(size=len(own))
    other = rng.permutation(own)
    return np.where(rng.random(len(own)) < 0.1, other, own)
