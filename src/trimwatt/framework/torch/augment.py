"""Images moved and mirrored at random, for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trimwatt.errors import TrialFailed
from trimwatt.framework.torch.run import example
from trimwatt.workload import Workload

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Moves:
    """How images are varied. axes: of height and width in what the module takes. shift: pixels, 0 not at all."""

    axes: tuple[int, int]
    flip: bool
    shift: int

    def __call__(self, x: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
        return moved(x, self.axes, self.flip, self.shift, random)


def moves(
    workload: Workload, flip: bool | None, shift: int | None, mirror_hurts: Callable[[tuple[int, int]], bool]
) -> Moves | None:
    """What `flip` and `shift` ask, None where nothing; where they are None themselves, what suits the images.

    Then images are moved by up to a sixteenth of their side, and mirrored where the module does not mind:
    mirror_hurts(axes), asked only then. Raises TrialFailed where moves are asked of rows that are no images.
    """
    asked = bool(flip or shift)
    axes = layout(workload, asked)
    if axes is None or not (asked or flip is None or shift is None):
        return None
    side = min(example(workload, 1).shape[axis] for axis in axes)
    shift = side // 16 if shift is None else shift
    flip = not mirror_hurts(axes) if flip is None else flip
    return Moves(axes, flip, shift) if flip or shift else None


def layout(workload: Workload, asked: bool) -> tuple[int, int] | None:
    """The axes of height and width in what the module takes, None where there are none and none was `asked` for."""
    shape, picture = example(workload, 1).shape, workload.rows.picture
    if picture is not None and (workload.prepare is None or len(shape) == 4):
        return (1, 2) if workload.prepare is None and not picture.channels_first else (2, 3)
    if asked:
        raise TrialFailed("flip and shift need images of height and width, and these rows are none once prepared")
    return None


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
