"""Where points and their names go in the plot of energy against quality: pure arithmetic, in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 860, 400
_LINE, _CHARACTER = 13.0, 6.3

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Axes:
    """The visible range. x: joules, logarithmic. y: quality from `worst` at the bottom to `best` at the top."""

    x_low: float
    x_high: float
    worst: float
    best: float

    def x(self, joules: float) -> float:
        """Pixels from the left."""
        share = math.log(joules / self.x_low) / math.log(self.x_high / self.x_low)
        return WIDTH * share

    def y(self, quality: float) -> float:
        """Pixels from the top."""
        return HEIGHT * (1 - (quality - self.worst) / (self.best - self.worst))

    def joules(self, x: float) -> float:
        return float(self.x_low * (self.x_high / self.x_low) ** (x / WIDTH))

    def quality(self, y: float) -> float:
        return self.worst + (1 - y / HEIGHT) * (self.best - self.worst)

    def holds(self, quality: float) -> bool:
        """Whether `quality` is within the range, or better than all of it."""
        return (quality - self.worst) * (self.best - self.worst) >= 0


@dataclass(frozen=True)
class Point:
    """What is plotted: joules with the bounds of its comparison, quality with its interval."""

    id: str
    joules: float
    low: float
    high: float
    quality: float
    worse: float
    better: float


def axes(points: Sequence[Point], floor: float | None, must: Sequence[str], greater: bool) -> Axes:
    """A range that shows the floor and what stands near it; those far below would flatten everything else.

    must: ids that are shown whatever their quality. greater: whether more is better.
    """
    sign = 1 if greater else -1
    kept = [p for p in points if floor is None or p.id in must or sign * p.quality >= sign * floor] or list(points)
    top = max(sign * p.better for p in kept)
    bottom = min([sign * p.quality for p in kept] + ([sign * floor] if floor is not None else []))
    span = (top - bottom) or abs(top) * 0.1 or 1.0
    near = [p for p in points if sign * p.quality >= bottom - 3.0 * span]
    bottom = min([bottom, *(sign * p.worse for p in near)])
    pad = 0.06 * (top - bottom or span)
    lows, highs = [p.low for p in points], [p.high for p in points]
    return Axes(min(lows) / 1.6, max(highs) * 1.9, sign * (bottom - pad), sign * (top + pad))


@dataclass(frozen=True)
class Label:
    """Text anchored at pixel (x, y); `align` is left, right or center."""

    text: str
    x: float
    y: float
    align: str

    @property
    def box(self) -> Box:
        """Left, top, right, bottom."""
        width = _CHARACTER * len(self.text)
        left = self.x - {"left": 0.0, "center": width / 2, "right": width}[self.align]
        return left, self.y - _LINE / 2 - 1, left + width, self.y + _LINE / 2 + 1


def place(points: Sequence[tuple[float, float, str]], held: Sequence[Box] = ()) -> list[Label | None]:
    """A label beside each (x, y, text), or None where it would cover another; the first ones choose first.

    held: boxes (left, top, right, bottom) that stay free.
    """
    taken: list[Box] = [*held, *((x - 7, y - 7, x + 7, y + 7) for x, y, _ in points)]
    placed: list[Label | None] = []
    for x, y, text in points:
        free = (label for label in _around(x, y, text) if _fits(label, taken, (x, y)))
        found = next(free, None)
        placed.append(found)
        if found:
            taken.append(found.box)
    return placed


def _around(x: float, y: float, text: str) -> list[Label]:
    """Where a name may stand, the nearest first."""
    sides = [
        (11, -8, "left"),
        (-11, -8, "right"),
        (11, 9, "left"),
        (-11, 9, "right"),
        (12, 1, "left"),
        (-12, 1, "right"),
    ]
    above = [(0, -17, "center"), (0, 18, "center")]
    far = [(dx, dy, align) for dy in (-22, 23, -36, 37) for dx, align in ((11, "left"), (-11, "right"))]
    return [Label(text, x + dx, y + dy, align) for dx, dy, align in sides + above + far]


def _fits(label: Label, taken: Sequence[Box], own: tuple[float, float]) -> bool:
    left, top, right, bottom = label.box
    if left < 2 or right > WIDTH - 2 or top < 2 or bottom > HEIGHT - 2:
        return False
    mine = (own[0] - 7, own[1] - 7, own[0] + 7, own[1] + 7)
    others = (box for box in taken if box != mine)
    return not any(left < box[2] and box[0] < right and top < box[3] and box[1] < bottom for box in others)
