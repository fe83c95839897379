"""Energy counters of processors and memory through powercap.

Exact: integer microjoules, differences modulo the counter's range. The interval of a reading is that of reading a
counter that moves every millisecond or so; how true the counter is to the plug is not known and not in it.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from trimwatt.energy import Energy
from trimwatt.meter import powercap, usage
from trimwatt.meter._base import Mark
from trimwatt.meter.powercap import Zone

# a counter is updated about every millisecond, not in step with the reader
_UPDATE_S = 0.002
# no zone draws this much: a counter that falls and would have to mean it was reset, not wrapped
_MOST_W = 5000.0
# twice as often as a 1 kW socket can wrap
_KEEP_W = 2000.0


@dataclass(frozen=True)
class State:
    """Of each readable zone: microjoules since the meter was opened, unwrapped, and the raw counter. epoch: how often a
    zone was lost; windows across a loss have a hole. busy_s: CPU seconds of the whole machine."""

    total_uj: Mapping[str, int]
    raw_uj: Mapping[str, int]
    epoch: Mapping[str, int]
    busy_s: float | None


def step_uj(before: int, after: int, range_uj: int | None, elapsed_s: float) -> int | None:
    """Microjoules between two raw readings less than one wrap apart; None where the counter was reset.

    range_uj: the value after which it starts at 0; unknown, a fall cannot be told from a reset.
    """
    if after >= before:
        return after - before
    if not range_uj or before > range_uj:
        return None
    step = after - before + range_uj
    impossible = step > _MOST_W * max(elapsed_s, 0.0) * 1e6
    return None if impossible and step > range_uj / 2 else step


class RaplMeter:
    """Reads the zones that can be read. `closed`: domains that exist but cannot be read.

    clock: monotonic seconds.
    """

    name = "powercap"
    origin = "measured"

    def __init__(self, zones: Sequence[Zone], clock: Callable[[], float] = time.monotonic) -> None:
        readable = [zone for zone in zones if powercap.read_int(zone.file) is not None]
        self.zones = tuple(readable)
        self.closed = tuple(zone.domain for zone in zones if zone not in readable)
        self._lock = threading.Lock()
        self._raw: dict[str, int] = {}
        self._total: dict[str, int] = {}
        self._epoch: dict[str, int] = {zone.domain: 0 for zone in readable}
        self._clock = clock
        self._at_s = clock()
        self._apart: set[tuple[str, str]] = set()
        self._keeper: threading.Thread | None = None
        with self._lock:
            self._read()

    def mark(self) -> Mark:
        """Now, with every zone's counter."""
        self._keep()
        with self._lock:
            self._read()
            state = State(dict(self._total), dict(self._raw), dict(self._epoch), usage.machine_busy_s())
            return Mark(self._at_s, usage.tree_cpu_s(), state)

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        """Each domain that was readable all the while. A die that shows its neighbour's counter again is kept under
        "mirror:" and its own name."""
        first, last = a.state, b.state
        duration_s = max(0.0, b.time_s - a.time_s)
        joules = {
            d: (last.total_uj[d] - first.total_uj[d]) / 1e6
            for d in first.total_uj
            if d in last.total_uj and first.epoch[d] == last.epoch[d]
        }
        mirrors = self._mirrors(first, last, joules, duration_s)
        return {f"mirror:{d}" if d in mirrors else d: _energy(j, duration_s) for d, j in joules.items()}

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        """What a reader of this window must know."""
        there = self.between(a, b)
        lost = [z.domain for z in self.zones if z.domain not in there and f"mirror:{z.domain}" not in there]
        said = [f"{domain}: its counter was lost or reset during this window; it is left out" for domain in lost]
        said += [f"{domain} cannot be read: its energy_uj is closed to this user" for domain in self.closed]
        if b.time_s - a.time_s < 10 * _UPDATE_S:
            said.append(
                f"{b.time_s - a.time_s:.3f} s is too short for these counters; measure {50 * _UPDATE_S:g} s or more"
            )
        return tuple(said)

    def _read(self) -> None:
        """Bring every zone's total up to now. Called with the lock held."""
        now = self._clock()
        for zone in self.zones:
            self._advance(zone, powercap.read_int(zone.file), now - self._at_s)
        self._at_s = now

    def _advance(self, zone: Zone, raw: int | None, elapsed_s: float) -> None:
        domain, before = zone.domain, self._raw.get(zone.domain)
        if raw is None:
            if self._raw.pop(domain, None) is not None:
                self._epoch[domain] += 1
            self._total.pop(domain, None)
            return
        step = 0 if before is None else step_uj(before, raw, zone.range_uj, elapsed_s)
        if step is None:
            self._epoch[domain] += 1
        self._raw[domain] = raw
        self._total[domain] = self._total.get(domain, 0) + (step or 0)

    def _mirrors(self, first: State, last: State, joules: Mapping[str, float], duration_s: float) -> set[str]:
        """Dies of one package whose counters are one: equal at both ends, as far as two reads in a row can tell.

        Names do not tell: old AMD dies show the socket's counter again, Intel's count for themselves.
        """
        dies = [z for z in self.zones if z.domain in joules and z.domain.startswith("package")]
        mirrored: set[str] = set()
        for one, other in combinations(dies, 2):
            if one.socket != other.socket:
                continue
            pair = (one.domain, other.domain)
            watts = joules[one.domain] / duration_s if duration_s > 0 else 0.0
            slack = 1000 + _UPDATE_S * watts * 1e6
            gaps = [abs(s.raw_uj[one.domain] - s.raw_uj[other.domain]) for s in (first, last)]
            if max(gaps) > slack:
                self._apart.add(pair)
            if pair not in self._apart:
                mirrored.add(other.domain)
        return mirrored

    def _keep(self) -> None:
        """Start reading now and then, so that no counter wraps twice unseen."""
        ranges = [zone.range_uj for zone in self.zones if zone.range_uj]
        if (self._keeper is not None and self._keeper.is_alive()) or not ranges:
            return
        every_s = min(ranges) / 1e6 / _KEEP_W
        self._keeper = threading.Thread(target=_keep_reading, args=(weakref.ref(self), every_s), daemon=True)
        self._keeper.start()

    def refresh(self) -> None:
        """Read the counters without marking."""
        with self._lock:
            self._read()


def _keep_reading(meter: weakref.ref[RaplMeter], every_s: float) -> None:
    """Until the meter is gone."""
    while True:
        time.sleep(every_s)
        alive = meter()
        if alive is None:
            return
        alive.refresh()
        del alive


def _energy(joules: float, duration_s: float) -> Energy:
    doubt = min(1.0, _UPDATE_S / duration_s) * joules if duration_s > 0 else joules
    return Energy(joules, joules - doubt, joules + doubt, "measured")


def open_meter() -> RaplMeter | None:
    """A meter of this machine's counters; None where no package can be read."""
    meter = RaplMeter(powercap.zones(powercap.root()))
    return meter if any(zone.domain.startswith("package") for zone in meter.zones) else None
