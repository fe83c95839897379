"""When a counter that moves in steps last moved, so that a window of few steps can be read to a part of one.

A GPU's counter stands still for 20 to 100 ms and then jumps. Read at a moment, it is up to one step too low. The step's
beat is learned by watching the counter now and then, and what was drawn since the last beat is power times its age.
Counters that keep no beat get no such correction, and a wider interval.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

# a beat seen less exactly than this is not used
_SHARP_S = 0.006
_POLL_S = 0.001
# the slowest counter known moves ten times a second
SLOWEST_S = 0.1


@dataclass
class Edges:
    """A beat: `period_s` between steps, None while unknown. first_s, last_s: moments of two steps, `steps` apart."""

    first_s: float | None = None
    last_s: float | None = None
    period_s: float | None = None
    steps: int = 0

    def saw(self, edge_s: float, follows: bool) -> None:
        """The counter stepped at `edge_s`; follows: no step lies between this one and the last one told."""
        if self.last_s is None or self.first_s is None:
            self.first_s = self.last_s = edge_s
            return
        gap_s = edge_s - self.last_s
        if self.period_s is None:
            if follows and gap_s > 0:
                self.last_s, self.period_s, self.steps = edge_s, gap_s, 1
            else:
                self._start_again(edge_s)
            return
        steps = round(gap_s / self.period_s)
        off_s = abs(gap_s - steps * self.period_s)
        if steps < 1 or off_s > max(0.25 * self.period_s, _SHARP_S / 2):
            self._start_again(edge_s)
            return
        self.steps += steps
        self.last_s, self.period_s = edge_s, (edge_s - self.first_s) / self.steps

    def age_s(self, now_s: float) -> float | None:
        """Seconds since the last step at `now_s`, None while the beat is unknown."""
        if self.period_s is None or self.last_s is None or self.steps < 3:
            return None
        return (now_s - self.last_s) % self.period_s

    def _start_again(self, edge_s: float) -> None:
        self.first_s, self.last_s, self.period_s, self.steps = edge_s, edge_s, None, 0


def watch(
    read: Callable[[], int | None], edges: Edges, most: int = 1, clock: Callable[[], float] = time.monotonic
) -> None:
    """Tell `edges` of up to `most` steps; gives up after the time that the slowest counter takes for them."""
    start_s = before_s = clock()
    before, found, follows = read(), 0, False
    while before is not None and found < most and before_s - start_s < SLOWEST_S * (most + 1):
        time.sleep(_POLL_S)
        asked_s = clock()
        value = read()
        now_s = clock()
        if value is None:
            return
        if value != before:
            sharp = now_s - before_s < _SHARP_S
            if sharp:
                edges.saw((before_s + now_s) / 2, follows)
                found += 1
            follows = sharp
        before, before_s = value, asked_s
