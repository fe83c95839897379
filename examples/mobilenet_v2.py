"""A MobileNet v2 for 28x28 grey images: `trimwatt optimize examples.mobilenet_v2:build --data pneumoniamnist.npz`.

Sandler et al. 2018, arXiv:1801.04381, at its full width; the picture is halved three times instead of five. The study
trains it first, with the trainer that comes with it.
"""

from __future__ import annotations

import torch
from torch import nn

from trimwatt.framework.torch.mobilenet import MobileNetV2
from trimwatt.technique.train import Train
from trimwatt.workload import Workload


class Scaled(nn.Module):
    """Pixels uint8 (n, 28, 28) to logits (n, 2); scaling is inside."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.network = MobileNetV2(channels=1, outputs=2, width=width, side=28)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network(pixels.unsqueeze(1).float() * (2 / 255) - 1)


def build(width: float = 1.0) -> Workload:
    """The network as it starts, always the same, with how it is to be trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Scaled(width)
    trainer = Train(epochs=12, batch=64, learning_rate=3e-3, shift=2, label_smoothing=0.05)
    return Workload(model=model, form="torch", trainer=trainer)
