"""Energy with its interval and origin, and what a meter reads."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from trimwatt import units

Origin = Literal["measured", "estimated", "mixed"]
ORIGINS: tuple[Origin, ...] = ("measured", "estimated", "mixed")


@dataclass(frozen=True)
class Energy:
    """Joules with a 95 % interval `[low, high]` and where they come from.

    Addition adds the bounds (it never assumes that errors cancel), and measured + estimated is mixed.
    """

    joules: float
    low: float
    high: float
    origin: Origin

    def __post_init__(self) -> None:
        if self.origin not in ORIGINS:
            raise ValueError(f"origin is one of {', '.join(ORIGINS)}, got {self.origin!r}")
        if not self.low <= self.joules <= self.high:
            raise ValueError(f"an interval holds its value, got {self.low} <= {self.joules} <= {self.high}")

    def __add__(self, other: Energy) -> Energy:
        origin = self.origin if self.origin == other.origin else "mixed"
        return Energy(self.joules + other.joules, self.low + other.low, self.high + other.high, origin)

    def scaled(self, factor: float) -> Energy:
        """This energy times `factor` >= 0, interval and all."""
        return Energy(self.joules * factor, self.low * factor, self.high * factor, self.origin)

    def times(self, value: float, low: float, high: float) -> Energy:
        """This energy times a factor that is itself known only to lie in `[low, high]`, 0 <= low <= value <= high."""
        return Energy(self.joules * value, self.low * low, self.high * high, self.origin)

    def to_dict(self) -> dict[str, Any]:
        return {"joules": self.joules, "low": self.low, "high": self.high, "origin": self.origin}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Energy:
        return cls(data["joules"], data["low"], data["high"], data["origin"])

    def __str__(self) -> str:
        low, high = units.joules(self.low), units.joules(self.high)
        return f"{units.joules(self.joules)} [{low} to {high}] {self.origin}"

    def _repr_html_(self) -> str:
        """For notebooks, in their own colours."""
        low, high = units.joules(self.low), units.joules(self.high)
        interval = f"<span style='opacity:.7'>[{low} to {high}]</span>"
        return f"<span><b>{units.joules(self.joules)}</b> {interval} {self.origin}</span>"


def total(parts: list[Energy]) -> Energy | None:
    """The sum of `parts`; None of nothing, since unknown is not zero."""
    result: Energy | None = None
    for part in parts:
        result = part if result is None else result + part
    return result


@dataclass(frozen=True)
class Reading:
    """What a meter saw between two marks.

    energy: the machine's, None where nothing could be read or modelled. process: the measured process tree's share.
    domains: energy per domain; an absent domain is an absent key. coverage: share in [0, 1] of the drawing
    parts that were read. duration_s, cpu_s in seconds (cpu_s is nan where a log has none); peak_rss_bytes in bytes.
    marginal: of `process`, what the work added to an idle machine; idle: of `process`, what the cores and memory it
    reserves take without work. calls: how often the work was done, where all
    figures are of one time. needs_s: set where the window was too short to tell its energy, the least duration that
    would.
    """

    energy: Energy | None
    process: Energy | None
    domains: dict[str, Energy]
    duration_s: float
    cpu_s: float
    peak_rss_bytes: int | None = None
    coverage: float = 0.0
    warnings: tuple[str, ...] = field(default=())
    marginal: Energy | None = None
    idle: Energy | None = None
    calls: int = 1
    needs_s: float | None = None

    def a_call(self, calls: int) -> Reading:
        """The same reading for one of `calls` times that the work was done."""

        def part(energy: Energy | None) -> Energy | None:
            return None if energy is None else energy.scaled(1 / calls)

        return replace(
            self,
            energy=part(self.energy),
            process=part(self.process),
            marginal=part(self.marginal),
            idle=part(self.idle),
            domains={name: energy.scaled(1 / calls) for name, energy in self.domains.items()},
            duration_s=self.duration_s / calls,
            cpu_s=self.cpu_s / calls,
            calls=calls,
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON of schema trimwatt/reading/1; the grid is unknown here, so carbon has no grams."""
        return {
            "schema": "trimwatt/reading/1",
            "energy": self.energy and self.energy.to_dict(),
            "process": self.process and self.process.to_dict(),
            "marginal": self.marginal and self.marginal.to_dict(),
            "idle": self.idle and self.idle.to_dict(),
            "domains": {name: energy.to_dict() for name, energy in self.domains.items()},
            "duration_s": self.duration_s,
            "cpu_s": None if math.isnan(self.cpu_s) else self.cpu_s,
            "peak_rss_bytes": self.peak_rss_bytes,
            "coverage": self.coverage,
            "calls": self.calls,
            "needs_s": self.needs_s,
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Reading:
        """The reading that `to_dict` wrote."""
        given: dict[str, Any] = {k: data[k] for k in ("peak_rss_bytes", "coverage", "calls", "needs_s") if k in data}
        for name in ("energy", "process", "marginal", "idle"):
            given[name] = Energy.from_dict(data[name]) if data.get(name) else None
        return cls(
            domains={name: Energy.from_dict(energy) for name, energy in data["domains"].items()},
            duration_s=data["duration_s"],
            cpu_s=math.nan if data["cpu_s"] is None else data["cpu_s"],
            warnings=tuple(data["warnings"]),
            **given,
        )

    def _repr_html_(self, title: str = "") -> str:
        """A table for notebooks, in their own colours, light or dark; whatever a sensor or a title says is escaped."""
        rows = {"process": self.process, "machine": self.energy}
        cells = [(name, energy._repr_html_()) for name, energy in rows.items() if energy is not None]
        cpu = "" if math.isnan(self.cpu_s) else f", {units.seconds(self.cpu_s)} of CPU"
        memory = "" if self.peak_rss_bytes is None else f", {units.size(self.peak_rss_bytes)} of memory"
        cells.append(("time", units.seconds(self.duration_s) + cpu + memory))
        cells += [("note", html.escape(warning)) for warning in self.warnings]
        body = "".join(
            f"<tr><th style='text-align:left'>{n}</th><td style='text-align:left'>{v}</td></tr>" for n, v in cells
        )
        caption = f"<caption style='text-align:left'>{html.escape(title)}</caption>" if title else ""
        return f"<table>{caption}{body}</table>"
