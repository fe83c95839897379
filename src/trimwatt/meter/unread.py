"""A sensor that is there and could not be opened: it reads nothing, and every reading says so."""

from __future__ import annotations

import time
from dataclasses import dataclass

from trimwatt.energy import Energy
from trimwatt.meter import usage
from trimwatt.meter._base import Mark


@dataclass(frozen=True)
class Unread:
    """Stands for it in a `Combined`, so that what it would have read is a hole in the coverage and never a zero."""

    sensor: str
    why: str
    origin: str = "measured"

    @property
    def name(self) -> str:
        return f"{self.sensor} (not readable)"

    def mark(self) -> Mark:
        return Mark(time.monotonic(), usage.tree_cpu_s())

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        return {}

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        return (f"{self.sensor} cannot be opened, so what it would read is missing: {self.why}",)
