"""Several sensors as one meter: the processor's, those of accelerators, and strangers'.

A sensor that fails is a warning and a hole in what was covered; it never ends the program that is measured.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from trimwatt.energy import Energy
from trimwatt.meter import attribute, usage
from trimwatt.meter._base import Mark, Meter

T = TypeVar("T")
_log = logging.getLogger("trimwatt")


@dataclass(frozen=True)
class State:
    """The parts' own marks, None where a part failed, and why. busy_s: CPU seconds of the whole machine."""

    marks: tuple[Mark | None, ...]
    busy_s: float | None
    failures: tuple[str, ...] = ()


class Combined:
    """Sensors marked together. The first gives the time and the CPU seconds, and wins where two read one domain."""

    def __init__(self, parts: Sequence[Meter]) -> None:
        self.parts = tuple(p for part in parts for p in getattr(part, "parts", (part,)))
        self._last: tuple[Mark, Mark, list[tuple[Meter, dict[str, Energy]]]] | None = None

    @property
    def name(self) -> str:
        return " + ".join(part.name for part in self.parts) or "nothing"

    @property
    def origin(self) -> str:
        origins = {part.origin for part in self.parts}
        return origins.pop() if len(origins) == 1 else "mixed"

    @property
    def zones(self) -> tuple[Any, ...]:
        return tuple(zone for part in self.parts for zone in getattr(part, "zones", ()))

    @property
    def closed(self) -> tuple[str, ...]:
        return tuple(domain for part in self.parts for domain in getattr(part, "closed", ()))

    @property
    def resolution_s(self) -> float:
        """What its slowest part resolves, seconds."""
        return max((resolution(part) for part in self.parts), default=0.0)

    def mark(self) -> Mark:
        """Now, with a mark of every part that gives one."""
        looked = [_tried(part.mark) for part in self.parts]
        marks = tuple(mark for mark, _ in looked)
        failures = tuple(f"{part.name} failed: {why}" for part, (_, why) in zip(self.parts, looked, strict=True) if why)
        first = marks[0] if marks else None
        if first is None:
            return Mark(time.monotonic(), usage.tree_cpu_s(), State(marks, usage.machine_busy_s(), failures))
        busy_s = usage.busy_at(first)
        state = State(marks, usage.machine_busy_s() if busy_s is None else busy_s, failures)
        return Mark(first.time_s, first.cpu_s, state)

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        """The domains of all parts. One that an earlier part has already read is called "<sensor>:<domain>" and is
        not counted; so is a processor inside a module whose counter covers it, "module:<domain>"."""
        merged: dict[str, Energy] = {}
        for part, domains in self.read(a, b):
            for domain, energy in domains.items():
                name = domain if domain not in merged else f"{part.name}:{domain}"
                merged.setdefault(name, energy)
        modules = [d for part in self.parts for d in getattr(part, "whole_modules", ()) if d in merged]
        return {f"module:{d}" if modules and _is_processor(d) else d: e for d, e in merged.items()}

    def read(self, a: Mark, b: Mark) -> list[tuple[Meter, dict[str, Energy]]]:
        """What each part read, nothing where it failed."""
        kept = self._last
        if kept is not None and kept[0] is a and kept[1] is b:
            return kept[2]
        found = []
        for part, first, last in self._windows(a, b):
            domains, _ = _tried(lambda part=part, first=first, last=last: part.between(first, last))  # type: ignore[misc]
            found.append((part, {d: e for d, e in (domains or {}).items() if _is_energy(e)}))
        self._last = a, b, found
        return found

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        """What the parts say of this window, and which of them failed in it."""
        said = [*a.state.failures, *b.state.failures]
        for part, first, last in self._windows(a, b):
            tell = getattr(part, "warnings", None)
            lines, why = _tried(lambda tell=tell, first=first, last=last: tell(first, last) if tell else ())  # type: ignore[misc]
            said += lines if lines is not None else [f"{part.name} failed: {why}"]
            domains, why = _tried(lambda part=part, first=first, last=last: part.between(first, last))  # type: ignore[misc]
            said += [f"{part.name} failed: {why}"] if domains is None else _oddities(part, domains)
        said += self._clashes(a, b)
        return tuple(dict.fromkeys(said))

    def shares(self, a: Mark, b: Mark, pids: Collection[int]) -> dict[str, tuple[float, float, float]]:
        """Which share of each accelerator these processes used, where its sensor tells."""
        found: dict[str, tuple[float, float, float]] = {}
        for part, first, last in self._windows(a, b):
            tell = getattr(part, "shares", None)
            if tell is not None:
                told, _ = _tried(lambda tell=tell, first=first, last=last: tell(first, last, pids))  # type: ignore[misc]
                found = {**(told or {}), **found}
        return found

    def idle_w(self, domain: str) -> float | None:
        """Watts of an accelerator without work, where a part knows."""
        for part in self.parts:
            tell = getattr(part, "idle_w", None)
            watts: float | None = _tried(lambda tell=tell: tell(domain))[0] if tell else None  # type: ignore[misc]
            if watts is not None:
                return watts
        return None

    def failed(self, a: Mark, b: Mark) -> int:
        """How many parts gave nothing for this window."""
        good = sum(bool(domains) for _, domains in self.read(a, b))
        return len(self.parts) - good

    def _windows(self, a: Mark, b: Mark) -> list[tuple[Meter, Mark, Mark]]:
        pairs = zip(self.parts, a.state.marks, b.state.marks, strict=True)
        return [(part, first, last) for part, first, last in pairs if first is not None and last is not None]

    def _clashes(self, a: Mark, b: Mark) -> list[str]:
        held: dict[str, str] = {}
        said = []
        for part, domains in self.read(a, b):
            both = [d for d in domains if d in held]
            said += [f"{part.name} reads {d} too; {held[d]}'s is the one that is counted" for d in both]
            held = {**dict.fromkeys(domains, part.name), **held}
        return said


def as_combined(meter: Meter) -> Combined:
    """The same meter, so that it cannot end the program it measures."""
    return meter if isinstance(meter, Combined) else Combined((meter,))


def resolution(meter: Meter) -> float:
    """The shortest window, in seconds, that a meter resolves; 0 where it does not say."""
    return float(getattr(meter, "resolution_s", 0.0))


def _tried(call: Callable[[], T]) -> tuple[T | None, str]:
    """What a sensor answers, or None and why it did not."""
    try:
        return call(), ""
    except Exception as error:  # whatever a stranger's sensor or a broken driver raises, the user's program goes on
        why = (str(error).strip().splitlines() or [""])[0][:200] or type(error).__name__
        _log.debug("a sensor failed: %s", why, exc_info=error)
        return None, why


def _is_energy(energy: Energy) -> bool:
    return energy.low >= 0 and math.isfinite(energy.high)


def _is_processor(domain: str) -> bool:
    return attribute.counted(domain) and not attribute.is_accelerator(domain)


def _oddities(part: Meter, domains: Mapping[str, Energy]) -> list[str]:
    odd = [domain for domain, energy in domains.items() if not _is_energy(energy)]
    return [f"{part.name}: {domain} came out negative or endless; it is left out" for domain in odd]
