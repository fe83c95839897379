"""How stored pictures lie: which axis holds their channels, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

USUAL = (1, 3)


@dataclass(frozen=True)
class Picture:
    """The form of one stored picture: (h, w), (h, w, c), or (c, h, w) where channels come first."""

    height: int
    width: int
    channels: int = 1
    channels_first: bool = False

    @property
    def side(self) -> int:
        """Pixels of the shorter side."""
        return min(self.height, self.width)

    @classmethod
    def of(cls, shape: Sequence[int], first: bool | None = None) -> Picture:
        """The picture stored with this shape (h, w), (h, w, c) or (c, h, w). first: whether channels come first,
        None to go by the shape."""
        if len(shape) == 2:
            return cls(shape[0], shape[1])
        first = channels_first(shape) if first is None else first
        channels, height, width = shape if first else (shape[2], shape[0], shape[1])
        return cls(height, width, channels, first)


def channels_first(shape: Sequence[int], taken: int | None = None) -> bool:
    """Whether a picture of this shape is (c, h, w) rather than (h, w, c), which is taken where nothing tells.

    taken: how many channels a given model's first convolution takes, None where there is none. One or three channels
    are clear; then the model tells, then that most pictures are square, then that channels are far fewer than pixels.
    """
    if len(shape) != 3:
        return False
    first, middle, last = shape
    if (first in USUAL) != (last in USUAL):
        return first in USUAL
    if (first == taken) != (last == taken):
        return first == taken
    if (first == middle) != (middle == last):
        return middle == last
    return first not in USUAL and 2 * first <= min(middle, last)
