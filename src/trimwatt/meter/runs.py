"""Several runs of one command as one reading: the median, and how sure it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from trimwatt.energy import Energy, Reading

_LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """Values of several runs. low, high: an interval for the median that holds it with probability `level`.

    It is made of the values in order, whatever their distribution; six runs or more are needed for 95 %.
    """

    values: tuple[float, ...]
    median: float
    low: float
    high: float
    level: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "median": self.median, "low": self.low, "high": self.high, "level": self.level,
            "min": min(self.values), "max": max(self.values), "values": list(self.values),
        }  # fmt: skip


def spread(values: Sequence[float]) -> Spread:
    """Median and interval of at least one value: the narrowest pair of order statistics that holds 95 %."""
    ordered, n = sorted(values), len(values)
    rank = max([r for r in range(n // 2) if _level(n, r) >= _LEVEL], default=0)
    return Spread(tuple(values), statistics.median(ordered), ordered[rank], ordered[n - 1 - rank], _level(n, rank))


def _level(n: int, rank: int) -> float:
    """Probability that the median of the population lies between the values of this rank from below and from above."""
    return max(0.0, 1 - 2 * float(sum(math.comb(n, k) for k in range(rank + 1))) / float(2**n))


def together(readings: Sequence[Reading]) -> Reading:
    """One reading that is typical of several: medians of all figures.

    An energy's interval is that of the median over the runs, widened by what a single reading does not know: doubt
    about a sensor or a model is the same in each run, and does not shrink.
    """
    first = readings[0]
    names = [name for name in first.domains if all(name in reading.domains for reading in readings)]
    peaks = [reading.peak_rss_bytes for reading in readings if reading.peak_rss_bytes is not None]
    return replace(
        first,
        energy=_typical([reading.energy for reading in readings]),
        process=_typical([reading.process for reading in readings]),
        domains={name: _some([reading.domains[name] for reading in readings]) for name in names},
        duration_s=statistics.median(reading.duration_s for reading in readings),
        cpu_s=statistics.median(reading.cpu_s for reading in readings),
        peak_rss_bytes=max(peaks, default=None),
        coverage=min(reading.coverage for reading in readings),
        warnings=tuple(dict.fromkeys(line for reading in readings for line in reading.warnings)),
    )


def _typical(energies: Sequence[Energy | None]) -> Energy | None:
    known = [energy for energy in energies if energy is not None]
    return _some(known) if len(known) == len(energies) else None


def _some(energies: Sequence[Energy]) -> Energy:
    over = spread([energy.joules for energy in energies])
    low, high = (
        statistics.median(getattr(e, end) / e.joules if e.joules else 1.0 for e in energies) for end in ("low", "high")
    )
    origins = {energy.origin for energy in energies}
    return Energy(over.median, over.low * low, over.high * high, origins.pop() if len(origins) == 1 else "mixed")
