"""How long a search may go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from trimwatt.errors import TrialFailed
from trimwatt.technique.classical.tuning._judge import Judged

T = TypeVar("T")


class Clock:
    """Tries things one by one until `limit_s` seconds have gone; what did not fit in is counted.

    The first is always tried. What is tried is fixed; the clock only cuts it short.
    """

    def __init__(self, limit_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._end_s = now, now() + limit_s
        self._longest_s = 0.0
        self.tried = self.left_out = 0

    def each(self, things: Iterable[T], judge: Callable[[T], Judged]) -> list[Judged]:
        """What `judge` gives for each; what cannot be fitted is left out."""
        found = []
        for thing in things:
            began_s = self._now()
            if self.tried and began_s + self._longest_s > self._end_s:
                self.left_out += 1
                continue
            self.tried += 1
            try:
                found.append(judge(thing))
            except TrialFailed:
                continue
            finally:
                self._longest_s = max(self._longest_s, self._now() - began_s)
        return found
