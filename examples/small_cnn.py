"""A small untrained CNN for 28x28 grey images: `trimwatt optimize examples.small_cnn:build --data pneumoniamnist.npz`.

The study trains it first, with the trainer that comes with it, and then looks for something cheaper.
"""

from __future__ import annotations

import torch
from torch import nn

from trimwatt.technique.train import Train
from trimwatt.workload import Workload


class SmallCnn(nn.Module):
    """Pixels uint8 (n, 28, 28) to logits (n, 2); scaling is inside."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *self.stage(1, width), nn.MaxPool2d(2),
            *self.stage(width, 2 * width), nn.MaxPool2d(2),
            *self.stage(2 * width, 4 * width), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Linear(4 * width, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 2))

    @staticmethod
    def stage(inputs: int, outputs: int) -> list[nn.Module]:
        """A convolution with what follows it."""
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels.unsqueeze(1).float() * (2 / 255) - 1
        return self.head(self.features(x))


def build() -> Workload:
    """The network as it starts, always the same, with how it is to be trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SmallCnn()
    return Workload(model=model, form="torch", trainer=Train(epochs=15, batch=64, learning_rate=3e-3, shift=2))
