"""Blocks of one tree, or of two in pairs, until the limit is settled or the time is over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trimwatt.compare import comparer, gather
from trimwatt.compare._base import Arm, Block
from trimwatt.compare.pairing import Round
from trimwatt.compare.plan import Plan
from trimwatt.compare.result import Comparison
from trimwatt.compare.statistics import Interval, yuen
from trimwatt.energy import Energy
from trimwatt.gate.config import Check
from trimwatt.meter._base import Meter

MOST_PAIRS, MOST_S, SITTING = 200, 120.0, 5


@dataclass(frozen=True)
class Sample:
    """What one tree's blocks took a request. basis: what `spent` counts, joules of "dynamic_energy" or "cpu_seconds".

    energy: joules, of whatever origin. wall: median-like seconds. spent, walls: each block's, for a baseline.
    uncounted: what could not be counted of the processes that it started.
    """

    basis: str
    energy: Energy | None
    wall: Interval
    cpu: Interval
    spent: tuple[float, ...]
    walls: tuple[float, ...]
    uncounted: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        def plain(i: Interval) -> dict[str, float]:
            return {"value": i.value, "low": i.low, "high": i.high}

        energy = self.energy and self.energy.to_dict()
        figures = {"energy": energy, "wall_s": plain(self.wall), "cpu_s": plain(self.cpu)}
        return {"basis": self.basis, **figures, "uncounted": list(self.uncounted)}


def plan_for(check: Check, most_s: float = MOST_S, most_pairs: int = MOST_PAIRS) -> Plan:
    """How a check is run. Fresh processes either way: each run of a command is one, others are opened again."""
    plan = Plan(
        threads=check.threads, most_pairs=most_pairs, least_pairs=min(20, most_pairs), most_s=most_s, sitting=SITTING,
        half_width=max(check.tolerance / 4, 0.001),
    )  # fmt: skip
    if check.command:
        return replace(plan, sitting=None, warm_least=1, warm_window=2, warm_most=5, warm_s=2.0)
    return plan


def paired(
    new: Arm, old: Arm, plan: Plan, tolerance: float, rng: np.random.Generator, meter: Meter
) -> tuple[Comparison, Interval, Sequence[Round]]:
    """New over old, with the interval of the wall-clock ratio and the rounds.

    Stops once the interval of the ratio lies wholly on one side of 1 + tolerance, or is four times as narrow as that.
    """

    def weigh(rounds: Sequence[Round], plan: Plan) -> gather.Stop | None:
        n = len(rounds)
        if not plan.looks_at(n) and n < plan.most_pairs:
            return None
        logs = comparer.evidence(rounds, 0, 1, comparer.basis_of(rounds, meter)).interval(plan.level)
        return _stop(n, logs, tolerance, plan)

    found = gather.gather((new, old), plan, rng, meter, weigh)
    result = comparer.judge((new, old), found, (0, 1), meter, None)
    return result, _walls(found.rounds, found.stop[1]), found.rounds


def _stop(n: int, logs: Interval, tolerance: float, plan: Plan) -> gather.Stop | None:
    limit = math.log1p(tolerance)
    if logs.low > limit:
        return "the limit is exceeded", plan.level
    if logs.high <= limit:
        return "the limit is kept", plan.level
    if logs.half_width < plan.half_width:
        return "precise enough", plan.level
    return ("all pairs were used", plan.reported(n)) if n >= plan.most_pairs else None


def _walls(rounds: Sequence[Round], level: float) -> Interval:
    logs = [
        math.log(r.blocks[0].wall_s / r.blocks[0].requests) - math.log(r.blocks[1].wall_s / r.blocks[1].requests)
        for r in rounds
    ]
    sittings = np.array([r.sitting for r in rounds])
    return comparer.spread(np.array(logs), sittings, level).exp()


def alone(arm: Arm, plan: Plan, rng: np.random.Generator, meter: Meter) -> Sample:
    """`plan.least_pairs` blocks of one arm, in fresh processes as a pair's would be."""
    few = replace(plan, most_pairs=plan.least_pairs)

    def weigh(rounds: Sequence[Round], plan: Plan) -> gather.Stop | None:
        return ("enough", plan.level) if len(rounds) >= plan.least_pairs else None

    found = gather.gather((arm,), few, rng, meter, weigh)
    return sample([r.blocks[0] for r in found.rounds], meter, found.rounds)


def sample(blocks: Sequence[Block], meter: Meter, rounds: Sequence[Round], level: float = 0.98) -> Sample:
    """The figures of one arm's blocks, a request."""
    basis = comparer.basis_of([replace(r, blocks=(b,)) for r, b in zip(rounds, blocks, strict=True)], meter)
    walls = [b.wall_s / b.requests for b in blocks]
    cpu = _typical([b.cpu_s / b.requests for b in blocks], level)
    spent = [comparer.per_request(b, basis) for b in blocks]
    uncounted = tuple(dict.fromkeys(b.uncounted for b in blocks if b.uncounted))
    return Sample(basis, _energy(blocks, level), _typical(walls, level), cpu, tuple(spent), tuple(walls), uncounted)


def _typical(values: Sequence[float], level: float) -> Interval:
    """The geometric trimmed mean."""
    return yuen(np.log(np.maximum(values, 1e-12)), level).exp()


def _energy(blocks: Sequence[Block], level: float) -> Energy | None:
    """Joules a request: the spread of the blocks, widened by what the meter does not know."""
    known = [b.energy.scaled(1 / b.requests) for b in blocks if b.energy is not None and b.energy.joules > 0]
    if len(known) < len(blocks):
        return None
    middle = _typical([e.joules for e in known], level)
    below, above = (float(np.mean([getattr(e, end) / e.joules for e in known])) for end in ("low", "high"))
    return Energy(middle.value, middle.low * min(1.0, below), middle.high * max(1.0, above), known[0].origin)


__all__ = ["Sample", "alone", "paired", "plan_for", "sample"]
