"""Images moved and mirrored at random, for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trimwatt.errors import TrialFailed
from trimwatt.workload import Workload

if TYPE_CHECKING:
    import torch


def layout(workload: Workload) -> tuple[int, int]:
    """The axes of height and width in what the module takes; raises TrialFailed where rows are no images."""
    if workload.rows.kind != "image":
        raise TrialFailed("flip and shift are for images, these rows are a table")
    if workload.prepare is None:
        return 1, 2
    if np.ndim(workload.prepare.transform(workload.rows.train.take(slice(0, 1)).x)) != 4:
        raise TrialFailed("flip and shift need images of height and width, the preprocessing flattens them")
    return 2, 3


def moved(x: torch.Tensor, axes: tuple[int, int], flip: bool, shift: int, random: np.random.Generator) -> torch.Tensor:
    """Each image `(n, ...)` mirrored left to right by coin where `flip`, and moved by up to `shift` pixels.

    What a move uncovers repeats the border, so no value appears that the image has not.
    """
    import torch

    n, high, wide = len(x), x.shape[axes[0]], x.shape[axes[1]]
    down, across = random.integers(-shift, shift + 1, (2, n, 1))
    rows = np.clip(np.arange(high) + down, 0, high - 1)
    columns = np.clip(np.arange(wide) + across, 0, wide - 1)
    if flip:
        columns = np.where(random.random((n, 1)) < 0.5, columns[:, ::-1], columns)
    which = torch.arange(n)[:, None, None]
    picked = torch.from_numpy(rows)[:, :, None], torch.from_numpy(columns.copy())[:, None, :]
    if axes == (1, 2):
        return x[which, picked[0], picked[1]]
    return x.permute(0, 2, 3, 1)[which, picked[0], picked[1]].permute(0, 3, 1, 2)
