"""Counters that show the same energy twice: dies of one socket, and packages of a second control type.

Names do not tell. Old AMD dies each show their socket's counter, Intel's count for themselves: two zones are one
counter as long as the one, read between two readings of the other, lies between them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import combinations

from trimwatt.meter.powercap import Zone

Pair = tuple[Zone, Zone]
# a few steps of a counter, whose two halves may be updated apart
_SLACK_UJ = 1000
_TRIES = 3
_DISAGREE = 0.05
# what a second control type shows again under its own prefix
_TWINNED = ("package", "dram")


def candidates(zones: Sequence[Zone]) -> tuple[Pair, ...]:
    """Pairs of zones of one control type that may be one counter: two packages of the same socket."""
    packages = [zone for zone in zones if zone.domain.startswith("package")]
    return tuple((x, y) for x, y in combinations(packages, 2) if x.socket == y.socket)


def is_apart(one: Zone, other: Zone) -> bool:
    """Whether two readable zones are counters of their own; False where they cannot be read."""
    for attempt in range(_TRIES):
        # where a writer is between the two files, a moment later it is done
        time.sleep(0.001 if attempt else 0)
        before, middle, after = one.read(), other.read(), one.read()
        if before is None or middle is None or after is None or _between(before, middle, after, one.range_uj):
            return False
    return True


def _between(before: int, middle: int, after: int, range_uj: int | None) -> bool:
    turn = range_uj or 2**63
    return (middle - before + _SLACK_UJ) % turn <= (after - before) % turn + 2 * _SLACK_UJ


def names(joules: Mapping[str, float], pairs: Sequence[Pair], apart: frozenset[tuple[str, str]]) -> dict[str, str]:
    """What each domain that was read is to be called, so that no energy has two names that count."""
    called = {domain: domain for domain in joules}
    for one, other in pairs:
        both = one.domain in joules and other.domain in joules
        if both and (one.domain, other.domain) not in apart:
            called[other.domain] = f"mirror:{other.domain}"
    for domain in joules:
        bare = domain.rpartition(":")[2]
        # a second control type counts only where the first could not be read
        if bare.startswith(_TWINNED) and bare not in joules and bare not in called.values():
            called[domain] = bare
    return called


def disagreements(joules: Mapping[str, float], duration_s: float, update_s: float) -> list[str]:
    """Where two control types tell different stories of one package."""
    said = []
    for domain in joules:
        bare = domain.rpartition(":")[2]
        if bare == domain or bare not in joules:
            continue
        most = max(joules[domain], joules[bare])
        if duration_s > update_s / _DISAGREE * 4 and abs(joules[domain] - joules[bare]) > _DISAGREE * most:
            said.append(f"{domain} says {joules[domain]:.4g} J and {bare} {joules[bare]:.4g} J; {bare} is counted")
    return said
