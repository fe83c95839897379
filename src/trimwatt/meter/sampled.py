"""Energy from power that is read now and then, by a thread of the meter's own, and integrated by trapezoids.

The interval holds that a step of power may lie anywhere between two samples: half the step's height times the time
between. Where samples are further apart than a reader that runs can leave them, the energy in between is known to be
somewhere between nothing and twice the line, and the reading says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trimwatt.energy import Energy
from trimwatt.meter import usage
from trimwatt.meter._base import Mark
from trimwatt.meter._repeat import Repeat, lock

# so many samples in a row may be late by a busy machine
_LATE = 5.0


@dataclass(frozen=True)
class Channel:
    """One source of power so far. watts: the last sample. joules, doubt_j, gap_s: running sums. epoch: losses."""

    watts: float
    joules: float = 0.0
    doubt_j: float = 0.0
    gap_s: float = 0.0
    epoch: int = 0


@dataclass(frozen=True)
class SampledState:
    """The channels that could be read, and CPU seconds of the whole machine."""

    channels: Mapping[str, Channel]
    busy_s: float | None


def step(before: Channel, watts: float, seconds: float, gap_s: float) -> Channel:
    """The channel after one more sample, `seconds` after the last. gap_s: from when on it is a gap."""
    joules = (before.watts + watts) / 2 * seconds
    is_gap = seconds > gap_s
    doubt = joules if is_gap else abs(watts - before.watts) / 2 * seconds
    return Channel(
        watts,
        before.joules + joules,
        before.doubt_j + doubt,
        before.gap_s + (seconds if is_gap else 0.0),
        before.epoch,
    )


class SampledMeter:
    """Integrates sources of power. sources: watts now by domain, None where it cannot be read at this moment.

    every_s: seconds between samples. accuracy: the relative error of the sensor itself, at 95 %.
    """

    origin = "measured"

    def __init__(
        self,
        sources: Mapping[str, Callable[[], float | None]],
        every_s: float = 0.1,
        accuracy: float = 0.0,
        name: str = "sampled",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.every_s = every_s
        self.accuracy = accuracy
        self._sources = dict(sources)
        self._channels: dict[str, Channel] = {}
        self._lost: dict[str, int] = {}
        self._clock = clock
        self._at_s = clock()
        self._sampler = Repeat(self.sample, every_s)
        self._lock = lock(self)
        self.sample()

    @property
    def resolution_s(self) -> float:
        return 10 * self.every_s

    @property
    def domains(self) -> tuple[str, ...]:
        """Those that can be read at present."""
        return tuple(self._channels)

    def sample(self) -> None:
        """Read every source once."""
        with self._lock:
            self._take()

    def mark(self) -> Mark:
        """Now, with a sample; starts the sampling."""
        self._sampler.ensure()
        with self._lock:
            self._take()
            state = SampledState(dict(self._channels), usage.machine_busy_s())
            return Mark(self._at_s, usage.tree_cpu_s(), state)

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        """Each domain that could be read all the while."""
        return {d: self._energy(first, last) for d, (first, last) in _kept(a, b).items()}

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        """Sources that were lost, gaps between samples, and a window shorter than its samples are dense."""
        kept = _kept(a, b)
        said = [f"{d}: its power could not be read during this window; it is left out" for d in self._missing(kept)]
        for d, (first, last) in kept.items():
            if last.gap_s > first.gap_s:
                said.append(f"{d}: {last.gap_s - first.gap_s:.3g} s passed without a sample; the interval holds that")
        duration_s = b.time_s - a.time_s
        if duration_s < self.resolution_s:
            said.append(f"{duration_s:.3g} s is short for power read every {self.every_s:g} s; measure"
                        f" {self.resolution_s:g} s or more")  # fmt: skip
        return tuple(said)

    def _missing(self, kept: Mapping[str, object]) -> list[str]:
        return [d for d in self._sources if d not in kept and (d in self._channels or d in self._lost)]

    def _energy(self, first: Channel, last: Channel) -> Energy:
        joules = last.joules - first.joules
        doubt = last.doubt_j - first.doubt_j + self.accuracy * joules
        return Energy(joules, max(0.0, joules - doubt), joules + doubt, "measured")

    def _take(self) -> None:
        now = self._clock()
        elapsed_s = max(0.0, now - self._at_s)
        for domain, source in self._sources.items():
            self._add(domain, source(), elapsed_s)
        self._at_s = now

    def _add(self, domain: str, watts: float | None, elapsed_s: float) -> None:
        before = self._channels.get(domain)
        if watts is None or not 0 <= watts < float("inf"):
            if before is not None:
                self._lost[domain] = before.epoch + 1
                del self._channels[domain]
        elif before is None:
            self._channels[domain] = Channel(watts, epoch=self._lost.get(domain, 0))
        else:
            self._channels[domain] = step(before, watts, elapsed_s, _LATE * self.every_s)


def _kept(a: Mark, b: Mark) -> dict[str, tuple[Channel, Channel]]:
    first, last = a.state.channels, b.state.channels
    return {d: (first[d], last[d]) for d in first if d in last and first[d].epoch == last[d].epoch}
