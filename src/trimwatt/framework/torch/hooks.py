"""What a technique may change about training, so that none needs a loop of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from trimwatt.workload import Array, Split

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows as the module takes them, moved about where they are augmented.

    x: (n, ...) tensor. y: targets (n,) as the own criterion takes them. index: where these rows stand in `split`, the
    rows as stored.
    """

    x: torch.Tensor
    y: torch.Tensor
    index: Array
    split: Split


class Loss(Protocol):
    """Loss of a module's answers to a batch; `own` is what it would be without the hook."""

    def __call__(self, answer: torch.Tensor, batch: Batch, own: Callable[[], torch.Tensor]) -> torch.Tensor: ...


@dataclass(frozen=True, eq=False)
class Hooks:
    """prepare: given the copy that will be trained, returns the module to train. loss: in place of the workload's own,
    on training and on held-out rows. penalty: added in training steps only. after_step: called with the module and the
    share of all steps that are done, in (0, 1]. keep_last: keep the last epoch, not the best, and never stop early.
    """

    prepare: Callable[[nn.Module], nn.Module] | None = None
    loss: Loss | None = None
    penalty: Callable[[nn.Module], torch.Tensor] | None = None
    after_step: Callable[[nn.Module, float], None] | None = None
    keep_last: bool = False
