"""What a comparison found: a ratio with its interval, and a verdict that claims no more than the host can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trimwatt import units
from trimwatt.compare import export
from trimwatt.compare._base import Block
from trimwatt.compare.error import ModelError
from trimwatt.compare.statistics import Interval
from trimwatt.energy import Energy, total
from trimwatt.trial import Ratio

SCHEMA = "trimwatt/comparison/1"
# from here on a gross ratio points away from 1
_POINTS = 1.02


@dataclass(frozen=True)
class SelfTest:
    """An arm compared with itself: what this host cannot tell apart.

    ratio, low, high: of the pair furthest apart among `processes` of one model. resolution: the smallest effect that
    may be claimed, as a share (0.02 is 2 %): all that this interval allows between arms that are the same.
    """

    ratio: float
    low: float
    high: float
    pairs: int
    resolution: float
    pinned: bool
    processes: int = 2

    @property
    def passed(self) -> bool:
        return self.low <= 1 <= self.high

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


@dataclass(frozen=True)
class Side:
    """An arm's own figures over all its blocks; joules and seconds a request. energy is dynamic, gross has idle in.

    dropped: blocks of the first warm-up, which count nothing. count: requests of a block.
    """

    name: str
    blocks: tuple[Block, ...] = field(repr=False)
    dropped: tuple[Block, ...] = field(default=(), repr=False)
    count: int | None = None

    @property
    def requests(self) -> int:
        return sum(b.requests for b in self.blocks)

    @property
    def cpu_s(self) -> float:
        return sum(b.cpu_s for b in self.blocks) / self.requests

    @property
    def wall_s(self) -> float:
        return sum(b.wall_s for b in self.blocks) / self.requests

    @property
    def counted(self) -> str | None:
        """How the processes that it started were counted; None where it started none."""
        return next((b.counted for b in self.blocks if b.counted), None)

    @property
    def uncounted(self) -> tuple[str, ...]:
        """What could not be counted of them, each thing once."""
        return tuple(dict.fromkeys(b.uncounted for b in self.blocks if b.uncounted))

    @property
    def energy(self) -> Energy | None:
        return self._mean([b.energy for b in self.blocks])

    @property
    def gross(self) -> Energy | None:
        return self._mean([b.gross for b in self.blocks])

    def _mean(self, parts: Sequence[Energy | None]) -> Energy | None:
        known = [p for p in parts if p is not None]
        whole = total(known)
        return None if whole is None or len(known) < len(parts) else whole.scaled(1 / self.requests)

    def to_dict(self, blocks: bool = True) -> dict[str, Any]:
        record = {
            "name": self.name,
            "requests": self.requests,
            "cpu_s_per_request": self.cpu_s,
            "wall_s_per_request": self.wall_s,
            "counted": self.counted,
            "energy_per_request": self.energy and self.energy.to_dict(),
            "gross_energy_per_request": self.gross and self.gross.to_dict(),
        }
        if not blocks:
            return record
        raw = {"blocks": [b.to_dict() for b in self.blocks], "warm_up": [b.to_dict() for b in self.dropped]}
        return {**record, **raw}


@dataclass(frozen=True)
class Comparison:
    """a over b. verdict: less | more | tied | inconclusive; `less` when a takes less.

    ratio, low, high: of what `basis` names, a request; the bounds hold at least 95 %. won: share of pairs in which a
    took less. stopped: why no more pairs were run. gross: the same ratio with the idle share by wall time included.
    random_error: {"low", "high", "level"} of what more pairs would narrow. model_error: what they would not, None where
    no meter looked. sittings: how often the arms were opened. p: that the mean log-ratio is 0, before Holm. holm: the
    same after it, where this is one of many pairs. parity: what was checked of the results.
    """

    a: Side
    b: Side
    ratio: float
    low: float
    high: float
    pairs: int
    verdict: str
    basis: str
    won: float
    stopped: str
    pinned: bool
    self_test: SelfTest | None = None
    gross: dict[str, float] | None = None
    warnings: tuple[str, ...] = ()
    random_error: dict[str, float] | None = None
    model_error: ModelError | None = None
    sittings: int = 1
    p: float | None = None
    holm: float | None = None
    parity: dict[str, Any] | None = None

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Of which arm what could not be counted; where that is anything, nothing is claimed."""
        return tuple(f"{side.name}: {what}" for side in (self.a, self.b) for what in side.uncounted)

    @property
    def waiting(self) -> str | None:
        """What to say beside a verdict where the ratio with the idle share by wall time points the other way."""
        if self.gross is None or self.verdict not in ("less", "more"):
            return None
        value, low, high = (units.three(self.gross[name]) for name in ("value", "low", "high"))
        less = self.verdict == "less"
        if not (self.gross["value"] > _POINTS if less else self.gross["value"] < 1 / _POINTS):
            return None
        how = "uses less but waits longer" if less else "uses more but is done sooner"
        return f"but {value}x [{low}x to {high}x] with the idle share by wall time: it {how}"

    def to_ratio(self) -> Ratio:
        """As a trial keeps it."""
        return Ratio(self.ratio, self.low, self.high, self.pairs, self.verdict, self.basis, self.gross)

    def to_dict(self, blocks: bool = True) -> dict[str, Any]:
        """The JSON of schema trimwatt/comparison/1; blocks: with every raw block."""
        plain = ("ratio", "low", "high", "pairs", "basis", "verdict", "won", "stopped", "sittings", "p", "holm")
        return {
            "schema": SCHEMA,
            **{n: getattr(self, n) for n in plain},
            "uncounted": list(self.uncounted),
            "waiting": self.waiting,
            "pinned": self.pinned,
            "gross": self.gross,
            "random_error": self.random_error,
            "model_error": self.model_error and self.model_error.to_dict(),
            "self_test": self.self_test and self.self_test.to_dict(),
            "parity": self.parity,
            "a": self.a.to_dict(blocks),
            "b": self.b.to_dict(blocks),
            "warnings": list(self.warnings),
        }

    def to_csv(self, path: str | Path | None = None) -> str | None:
        """Every raw block, one a line, as text or written to `path`; see `trimwatt.compare.export`."""
        return export.to_csv([self.a, self.b], path)

    def __str__(self) -> str:
        what = self.basis.replace("_", " ").replace("cpu", "CPU")
        bounds = f"[{self.low:.3g}, {self.high:.3g}], {self.pairs} pairs"
        beside = f", {self.waiting}" if self.waiting else ""
        return (
            f"{self.a.name} takes {self.ratio:.3g} times the {what} of {self.b.name} {bounds}: {self.verdict}{beside}"
        )

    def _repr_html_(self) -> str:
        return export.page([self.a, self.b], [self])


def verdict(logs: Interval, minimum_effect: float, resolution: float) -> str:
    """less | more | tied | inconclusive for the logarithm of a ratio.

    minimum_effect: shares below it do not matter and are not claimed: two processes of one model can differ by 1 %
    for as long as they live. resolution: the smallest share this host may claim.
    """
    smallest = math.log1p(max(resolution, minimum_effect))
    if logs.high < 0 and logs.value <= -smallest:
        return "less"
    if logs.low > 0 and logs.value >= smallest:
        return "more"
    reach = math.log1p(minimum_effect)
    return "tied" if -reach <= logs.low and logs.high <= reach else "inconclusive"
