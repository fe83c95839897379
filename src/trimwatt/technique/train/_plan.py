"""What all training steps share."""

from __future__ import annotations

from dataclasses import dataclass

from trimwatt.errors import InputError
from trimwatt.technique._base import Technique

_PRECISIONS = ("auto", "bfloat16", "float16", "float32")


@dataclass(frozen=True)
class Training(Technique):
    """Gradient descent on the training rows, 15 % of them held out to keep the best epoch.

    epochs: passes over the rows, 0 leaves the model as it is. learning_rate: the peak; it rises over the first tenth
    of the steps and falls to zero by half a cosine. batch: rows a step. patience: epochs without a better held-out
    loss after which to stop, None never. weight_decay: of weights, not of biases and normalization. optimizer:
    "adamw" or "sgd" (Nesterov momentum 0.9). flip: mirror images left to right by coin; None where the network as it
    comes answers mirrored held-out images as well. shift: move images by up to so many pixels; None a sixteenth of
    their side. precision: "float32", "bfloat16" (autocast: half the time on processors with AMX or AVX512-BF16,
    slower on others), "float16" (autocast with a scaled loss; convolutions have taken a hundred times as long on a
    processor) or "auto": bfloat16 where convolutions are large and the processor is such. max_seconds: end earlier, at
    the price of repeatability; None never. dropout: share, in [0, 1), that the network's dropout layers drop while it
    learns, or where it has none what stands before its head; None as it comes. label_smoothing: share of each target,
    in [0, 1), that is spread evenly over the classes. mixup: rows are averaged in pairs with shares drawn from
    Beta(mixup, mixup); 0 never, 0.2 is usual.
    """

    epochs: int = 20
    learning_rate: float = 3e-3
    batch: int = 64
    patience: int | None = 4
    weight_decay: float = 0.01
    optimizer: str = "adamw"
    flip: bool | None = None
    shift: int | None = None
    precision: str = "auto"
    max_seconds: float | None = None
    dropout: float | None = None
    label_smoothing: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (
            ("epochs", 0),
            ("batch", 1),
            ("patience", 1),
            ("shift", 0),
            ("weight_decay", 0),
            ("mixup", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} is a number from {least}, got {value}")
        for name in ("learning_rate", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} is a number above zero, got {value}")
        for name in ("dropout", "label_smoothing"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                hint = f"; did you mean {value / 100:g}?" if 1 < value < 100 else ""
                raise InputError(f"{name} is a share in [0, 1), got {value:g}{hint}")
        for name, known in (("optimizer", ("adamw", "sgd")), ("precision", _PRECISIONS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name} is {' or '.join(known)}, got {getattr(self, name)!r}")
