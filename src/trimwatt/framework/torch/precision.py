"""Training in 16 bits: which format, and gradients scaled so that they do not vanish in it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from trimwatt.framework.torch.size import is_large, multiplies_bfloat16
from trimwatt.workload import Workload

if TYPE_CHECKING:
    import torch


def settled(workload: Workload, precision: str, batch: int) -> str:
    """ "float32", "bfloat16" or "float16"; "auto" is bfloat16 where convolutions are large and the processor is for it.

    batch: rows a step.
    """
    from torch import nn

    if precision != "auto":
        return precision
    convolves = any(isinstance(layer, nn.Conv2d) for layer in workload.model.modules())
    gains = convolves and multiplies_bfloat16() and is_large(workload, batch)
    return "bfloat16" if gains else "float32"


def halved(precision: str) -> AbstractContextManager[Any]:
    """Products inside are taken in that format, sums and weights stay float32."""
    import torch

    kind = torch.float16 if precision == "float16" else torch.bfloat16
    return torch.autocast("cpu", kind, enabled=precision != "float32")


def scaler(precision: str) -> torch.amp.GradScaler:
    """What steps the optimizer: for float16 by gradients of a loss times a factor, taken out again before the step.

    float16 ends at 6e-8, where gradients go on. The factor is halved, and the step left out, whenever a gradient
    overflows, and doubled after 2000 steps without one (Micikevicius et al. 2018, arXiv:1710.03740). bfloat16 has the
    exponent of float32 and needs none: the loss then passes as it is.
    """
    import torch

    return torch.amp.GradScaler("cpu", enabled=precision == "float16")
