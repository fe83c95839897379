"""A meter of energy counters, whoever shows them: exact differences, safe over wraps, loss and reset.

Exact: integer microjoules, differences modulo the counter's range. The interval of a reading is that of reading a
counter that moves every millisecond or so; how true the counter is to the plug is not known and not in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from trimwatt.energy import Energy
from trimwatt.meter import mirror, usage
from trimwatt.meter._base import Mark
from trimwatt.meter._repeat import Repeat, lock
from trimwatt.meter.powercap import Zone

# no zone draws this much: a counter that falls and would have to mean it was reset, not wrapped
_MOST_W = 5000.0
# the most that a socket draws: how far a counter may have run while nobody looked
_SOCKET_W = 1000.0
# no processor draws nothing at all for this long: such a counter is dead, as virtual machines show them. One that never
# moved since it was opened is not given so long
_STILL_S = 2.0


@dataclass(frozen=True)
class State:
    """Of each readable zone: microjoules since the meter was opened, unwrapped, and the raw counter. epoch: how often a
    zone was lost; windows across a loss have a hole. busy_s: CPU seconds of the whole machine. unseen_uj: what wraps
    may have hidden so far because the zone was not read for too long. apart: zones known to be counters of their own.
    """

    total_uj: Mapping[str, int]
    raw_uj: Mapping[str, int]
    epoch: Mapping[str, int]
    busy_s: float | None
    unseen_uj: Mapping[str, int] = field(default_factory=dict)
    apart: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class _Seen:
    """The last look at a zone; one object, so that a fork never finds half of it."""

    raw: int
    total: int
    unseen: int = 0


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


def hidden_uj(step: int, range_uj: int | None, elapsed_s: float) -> int:
    """Microjoules in whole wraps that may have passed unseen beside `step` in `elapsed_s` seconds."""
    if not range_uj:
        return 0
    return max(0, int((_SOCKET_W * elapsed_s * 1e6 - step) // range_uj)) * range_uj


class CounterMeter:
    """Reads the zones that can be read. zones: those that could be so far; closed: domains that exist but never could.

    clock: monotonic seconds. update_s: the time in which a counter moves once; resolution_s: the shortest window that
    is known to a tenth.
    """

    name = "counter"
    origin = "measured"
    update_s = 0.002

    def __init__(self, zones: Sequence[Zone], clock: Callable[[], float] = time.monotonic) -> None:
        self._all = tuple(zones)
        self._seen: dict[str, _Seen] = {}
        self._epoch: dict[str, int] = {}
        self._clock = clock
        self._at_s = clock()
        self._apart: frozenset[tuple[str, str]] = frozenset()
        self._pairs = mirror.candidates(self._all)
        ranges = [zone.range_uj for zone in zones if zone.range_uj]
        # before half a wrap at full power
        self._keeper = Repeat(self.refresh, min(ranges) / 1e6 / _SOCKET_W / 2) if ranges else None
        self._lock = lock(self)
        self.refresh()

    @property
    def resolution_s(self) -> float:
        return 10 * self.update_s

    @property
    def zones(self) -> tuple[Zone, ...]:
        return tuple(zone for zone in self._all if zone.domain in self._epoch)

    @property
    def closed(self) -> tuple[str, ...]:
        return tuple(zone.domain for zone in self._all if zone.domain not in self._epoch)

    def mark(self) -> Mark:
        """Now, with every zone's counter."""
        if self._keeper is not None:
            self._keeper.ensure()
        with self._lock:
            self._read()
            seen = dict(self._seen)
            state = State(
                {d: s.total for d, s in seen.items()},
                {d: s.raw for d, s in seen.items()},
                dict(self._epoch),
                usage.machine_busy_s(),
                {d: s.unseen for d, s in seen.items() if s.unseen},
                self._apart,
            )
            return Mark(self._at_s, usage.tree_cpu_s(), state)

    def refresh(self) -> None:
        """Read the counters without marking, so that none wraps twice unseen."""
        with self._lock:
            self._read()

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        """Each domain that was readable all the while.

        A die that shows its neighbour's counter again is kept under "mirror:" and its own name; a package that another
        control type shows again under that type's name, unless it alone could be read.
        """
        duration_s = max(0.0, b.time_s - a.time_s)
        joules = self._joules(a, b)
        alive = {d: j for d, j in joules.items() if not self._is_still(d, j, duration_s, b)}
        names = mirror.names(alive, self._pairs, b.state.apart)
        return {names[d]: self._energy(j, duration_s, self._unseen(d, a, b)) for d, j in alive.items()}

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        """What a reader of this window must know."""
        duration_s = max(0.0, b.time_s - a.time_s)
        joules = self._joules(a, b)
        said = [
            f"{z.domain}: its counter was lost or reset during this window; it is left out"
            for z in self.zones
            if z.domain not in joules
        ]
        said += [
            f"{d}: its counter stood still for {duration_s:.3g} s, so it is not read here; virtual machines show such"
            for d, j in joules.items()
            if self._is_still(d, j, duration_s, b)
        ]
        said += [
            f"{d}: it was not looked at for so long that its counter may have wrapped unseen; the interval holds that"
            for d in joules
            if self._unseen(d, a, b)
        ]
        said += [f"{domain} cannot be read: its energy_uj is closed to this user" for domain in self.closed]
        said += mirror.disagreements(joules, duration_s, self.update_s)
        if duration_s < self.resolution_s:
            said.append(f"{duration_s:.3f} s is too short for these counters; measure {50 * self.update_s:g} s or more")
        return tuple(said)

    def _joules(self, a: Mark, b: Mark) -> dict[str, float]:
        first, last = a.state, b.state
        return {
            d: max(0, last.total_uj[d] - first.total_uj[d]) / 1e6
            for d in first.total_uj
            if d in last.total_uj and first.epoch[d] == last.epoch[d]
        }

    def _is_still(self, domain: str, joules: float, duration_s: float, b: Mark) -> bool:
        if joules > 0 or not domain.rpartition(":")[2].startswith("package"):
            return False
        return duration_s >= (_STILL_S if b.state.total_uj[domain] else self.resolution_s)

    def _unseen(self, domain: str, a: Mark, b: Mark) -> float:
        return float(b.state.unseen_uj.get(domain, 0) - a.state.unseen_uj.get(domain, 0)) / 1e6

    def _energy(self, joules: float, duration_s: float, unseen: float) -> Energy:
        doubt = min(1.0, self.update_s / duration_s) * joules if duration_s > 0 else joules
        return Energy(joules, joules - doubt, joules + doubt + unseen, "measured")

    def _read(self) -> None:
        """Bring every zone's total up to now. Called with the lock held."""
        now = self._clock()
        for zone in self._all:
            # a writer that is not the kernel may be between emptying and filling the file
            raw = zone.read(tries=3 if zone.domain in self._seen else 1)
            self._advance(zone, raw, now - self._at_s)
        self._at_s = now
        open_pairs = [(x, y) for x, y in self._pairs if (x.domain, y.domain) not in self._apart]
        if open_pairs:
            self._apart |= {(x.domain, y.domain) for x, y in open_pairs if mirror.is_apart(x, y)}

    def _advance(self, zone: Zone, raw: int | None, elapsed_s: float) -> None:
        domain, before = zone.domain, self._seen.get(zone.domain)
        if raw is None:
            if self._seen.pop(domain, None) is not None:
                self._epoch[domain] += 1
            return
        self._epoch.setdefault(domain, 0)
        if before is None:
            self._seen[domain] = _Seen(raw, 0)
            return
        step = step_uj(before.raw, raw, zone.range_uj, elapsed_s)
        if step is None:
            self._epoch[domain] += 1
            self._seen[domain] = _Seen(raw, before.total, before.unseen)
            return
        unseen = before.unseen + hidden_uj(step, zone.range_uj, elapsed_s)
        self._seen[domain] = _Seen(raw, before.total + step, unseen)
