"""Many arms at once: randomised complete blocks, so that any two are compared from the same rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt.compare import export, many
from trimwatt.compare._base import Arm
from trimwatt.compare.comparer import basis_of, evidence, judge, per_request, settled
from trimwatt.compare.gather import Gathered, Stop, gather
from trimwatt.compare.many import Rank
from trimwatt.compare.pairing import Round
from trimwatt.compare.plan import Plan
from trimwatt.compare.result import SCHEMA, Comparison, SelfTest, Side
from trimwatt.compare.statistics import Array
from trimwatt.errors import InputError
from trimwatt.meter._base import Meter


@dataclass(frozen=True)
class Finals:
    """k arms from the same rounds.

    names: of the arms, the baseline first. to_baseline: each other arm over the first, in order. pairs: every pair of
    arms (i, j), i < j, as arm i over arm j; a difference is claimed only if it holds beside all others (Holm).
    cheapest: index of the arm that took least. tied: indices of those whose direct ratio to the cheapest cannot be told
    from 1, the cheapest among them. ranks: by cost, 1 the cheapest, with 95 % bounds.
    """

    names: tuple[str, ...]
    to_baseline: tuple[Comparison, ...]
    pairs: dict[tuple[int, int], Comparison]
    cheapest: int
    tied: tuple[int, ...]
    rounds: int
    stopped: str
    ranks: tuple[Rank, ...] = ()
    parity: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def sides(self) -> list[Side]:
        """The arms' own figures, in order."""
        k = len(self.names)
        return [self.pairs[0, 1].a, *(self.pairs[0, i].b for i in range(1, k))]

    def to_dict(self, blocks: bool = True) -> dict[str, Any]:
        """The JSON of a comparison of many arms; blocks: with every raw block, once, under `arms`."""
        return {
            "schema": SCHEMA,
            "arms": [self._arm(i, side, blocks) for i, side in enumerate(self.sides)],
            "pairs": [comparison.to_dict(blocks=False) for comparison in self.pairs.values()],
            "cheapest": self.names[self.cheapest],
            "rounds": self.rounds,
            "stopped": self.stopped,
            "parity": self.parity,
            "warnings": list(self.warnings),
        }

    def _arm(self, i: int, side: Side, blocks: bool) -> dict[str, Any]:
        ratio = self.to_baseline[i - 1] if i else None
        interval = {"value": ratio.ratio, "low": ratio.low, "high": ratio.high} if ratio else None
        rank = self.ranks[i].to_dict() if self.ranks else None
        tied = {"ratio_to_first": interval, "tied_with_cheapest": i in self.tied, "rank": rank}
        return {**side.to_dict(blocks), **tied}

    def to_csv(self, path: str | Path | None = None) -> str | None:
        """Every raw block, one a line, as text or written to `path`; see `trimwatt.compare.export`."""
        return export.to_csv(self.sides, path)

    def __str__(self) -> str:
        lines = [str(comparison) for comparison in self.pairs.values()]
        tied = [self.names[i] for i in self.tied if i != self.cheapest]
        return "\n".join(
            [*lines, f"cheapest: {self.names[self.cheapest]}" + (f", tied with {', '.join(tied)}" if tied else "")]
        )

    def _repr_html_(self) -> str:
        return export.page(self.sides, list(self.pairs.values()))


def finals(
    arms: Sequence[Arm], rng: np.random.Generator, plan: Plan | None = None, *,
    meter: Meter | None = None, self_test: SelfTest | None = None, least: int | None = None,
) -> Finals:  # fmt: skip
    """Compare all arms, the baseline first, in at least `least` rounds of one block each (`plan.least_pairs`).

    Raises InputError for fewer than two arms.
    """
    if len(arms) < 2:
        raise InputError(f"finals need a baseline and at least one other arm, got {len(arms)}; add an arm")
    plan = plan or Plan()

    def weigh(rounds: Sequence[Round], plan: Plan) -> Stop | None:
        return _stop(rounds, plan, meter)

    found = gather(arms, plan, rng, meter, weigh, plan.least_pairs if least is None else least)
    return _summary(arms, found, meter, self_test, rng)


def _stop(rounds: Sequence[Round], plan: Plan, meter: Meter | None) -> Stop | None:
    """Stop once every arm but the cheapest is told from it, or as precisely as asked."""
    n, level = len(rounds), plan.reported(len(rounds))
    if plan.looks_at(n):
        basis, k = basis_of(rounds, meter), len(rounds[0].blocks)
        first = _cheapest(rounds, basis)
        against = [evidence(rounds, i, first, basis).interval(level) for i in range(k) if i != first]
        if all(settled(interval, plan) for interval in against):
            return "every arm is settled against the cheapest", level
    return ("all pairs were used", level) if n >= plan.most_pairs else None


def _cheapest(rounds: Sequence[Round], basis: str) -> int:
    """The arm with the least trimmed mean over the first; 0 is log(1) of the first itself."""
    k = len(rounds[0].blocks)
    logs = [0.0] + [evidence(rounds, i, 0, basis).interval(0.95).value for i in range(1, k)]
    return int(np.argmin(logs))


def _summary(
    arms: Sequence[Arm], found: Gathered, meter: Meter | None, test: SelfTest | None, rng: np.random.Generator
) -> Finals:
    k, basis = len(arms), basis_of(found.rounds, meter)
    every = {(i, j): judge(arms, found, (i, j), meter, test) for i, j in combinations(range(k), 2)}
    adjusted = dict(zip(every, many.holm([c.p if c.p is not None else 1.0 for c in every.values()]), strict=True))

    def over(i: int, j: int) -> Comparison:
        made = every[i, j] if i < j else judge(arms, found, (i, j), meter, test)
        return _together(made, adjusted[min(i, j), max(i, j)], 1 - found.stop[1])

    first = _cheapest(found.rounds, basis)
    direct = {i: over(i, first) for i in range(k) if i != first}
    tied = tuple(i for i in range(k) if i == first or direct[i].verdict in ("tied", "inconclusive"))
    ranks = many.rank_intervals(many.cost_draws(_logs(found.rounds, basis), rng))
    pairs = {pair: over(*pair) for pair in every}
    return Finals(
        tuple(arm.name for arm in arms), tuple(over(i, 0) for i in range(1, k)), pairs, first, tied,
        len(found.rounds), found.stop[0], tuple(ranks),
        warnings=tuple(dict.fromkeys(w for c in pairs.values() for w in c.warnings)),
    )  # fmt: skip


def _together(comparison: Comparison, adjusted: float, most: float) -> Comparison:
    """The same beside all other pairs: what Holm's step does not let stand is inconclusive."""
    stands = comparison.verdict not in ("less", "more") or adjusted <= most
    return replace(comparison, holm=adjusted, verdict=comparison.verdict if stands else "inconclusive")


def _logs(rounds: Sequence[Round], basis: str) -> Array:
    """Log-cost a request of each arm in each round, (rounds, k)."""
    return np.array([[math.log(per_request(block, basis)) for block in r.blocks] for r in rounds])
