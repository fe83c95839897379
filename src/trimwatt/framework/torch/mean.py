"""Networks that answer together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class _Mean(nn.Module):
    """(n, k) probabilities of members that give logits, or (n, 1) values, each the members' mean."""

    def __init__(self, members: Sequence[nn.Module], classes: bool) -> None:
        super().__init__()
        self.members, self.classes = nn.ModuleList(members), classes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        said = [member(x) for member in self.members]
        if self.classes:
            said = [answer.softmax(dim=1) for answer in said]
        return torch.stack(said).mean(dim=0)


def mean_of(members: Sequence[nn.Module], classes: bool) -> nn.Module:
    """One module of several that take the same rows; classes: whether they give logits of classes."""
    return _Mean(members, classes).eval()
