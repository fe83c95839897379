"""Many arms at once: randomised complete blocks, so that any two are compared from the same rounds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from trimwatt.compare import affinity, pairing
from trimwatt.compare._base import Arm
from trimwatt.compare.comparer import basis_of, evidence, judge, prepare, settled
from trimwatt.compare.pairing import Round
from trimwatt.compare.plan import Plan
from trimwatt.compare.result import Comparison, SelfTest
from trimwatt.errors import InputError
from trimwatt.meter._base import Meter


@dataclass(frozen=True)
class Finals:
    """k arms from the same rounds.

    names: of the arms, the baseline first. to_baseline: each other arm over the first, in order. pairs: every pair of
    arms (i, j), i < j, as arm i over arm j. cheapest: index of the arm that took least. tied: indices of those whose
    direct ratio to the cheapest cannot be told from 1, the cheapest among them.
    """

    names: tuple[str, ...]
    to_baseline: tuple[Comparison, ...]
    pairs: dict[tuple[int, int], Comparison]
    cheapest: int
    tied: tuple[int, ...]
    rounds: int
    stopped: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a comparison of many arms."""
        return {
            "arms": [self._arm(i) for i in range(len(self.names))],
            "pairs": [comparison.to_dict() for comparison in self.pairs.values()],
            "cheapest": self.names[self.cheapest],
            "rounds": self.rounds,
            "stopped": self.stopped,
        }

    def _arm(self, i: int) -> dict[str, Any]:
        ratio = self.to_baseline[i - 1] if i else None
        interval = {"value": ratio.ratio, "low": ratio.low, "high": ratio.high} if ratio else None
        return {"name": self.names[i], "ratio_to_first": interval, "tied_with_cheapest": i in self.tied}


def finals(
    arms: Sequence[Arm], rng: np.random.Generator, plan: Plan | None = None, *,
    meter: Meter | None = None, self_test: SelfTest | None = None,
) -> Finals:  # fmt: skip
    """Compare all arms, the baseline first, in at least `plan.least_pairs` rounds of one block each.

    Raises InputError for fewer than two arms.
    """
    if len(arms) < 2:
        raise InputError(f"finals need a baseline and at least one other arm, got {len(arms)}; add an arm")
    plan, ready = prepare(arms, plan or Plan(), meter)
    rounds: list[Round] = []
    started = time.monotonic()
    why: str | None = None
    with affinity.kept():
        while why is None:
            rounds.append(pairing.draw_round(ready, plan, rng, meter))
            why = _stop(rounds, plan, meter)
            if why is None and len(rounds) >= plan.least_pairs and time.monotonic() - started > plan.most_s:
                why = "the time given was over"
    return _summary(arms, rounds, plan, meter, self_test, why)


def _stop(rounds: Sequence[Round], plan: Plan, meter: Meter | None) -> str | None:
    """Stop once every arm but the cheapest is told from it, or as precisely as asked."""
    if plan.looks_at(len(rounds)):
        basis, k = basis_of(rounds, meter), len(rounds[0].blocks)
        first = _cheapest(rounds, basis)
        against = [evidence(rounds, i, first, basis).interval(plan.level) for i in range(k) if i != first]
        if all(settled(interval, plan) for interval in against):
            return "every arm is settled against the cheapest"
    return "all pairs were used" if len(rounds) >= plan.most_pairs else None


def _cheapest(rounds: Sequence[Round], basis: str) -> int:
    """The arm with the least trimmed mean over the first; 0 is log(1) of the first itself."""
    k = len(rounds[0].blocks)
    logs = [0.0] + [evidence(rounds, i, 0, basis).interval(0.95).value for i in range(1, k)]
    return int(np.argmin(logs))


def _summary(
    arms: Sequence[Arm], rounds: Sequence[Round], plan: Plan, meter: Meter | None, test: SelfTest | None, why: str
) -> Finals:
    def over(i: int, j: int) -> Comparison:
        return judge(arms, rounds, (i, j), plan, meter, test, (why, plan.level))

    first = _cheapest(rounds, basis_of(rounds, meter))
    direct = {i: over(i, first) for i in range(len(arms)) if i != first}
    tied = tuple(i for i in range(len(arms)) if i == first or direct[i].verdict in ("tied", "inconclusive"))
    return Finals(
        tuple(arm.name for arm in arms), tuple(over(i, 0) for i in range(1, len(arms))),
        {(i, j): over(i, j) for i, j in combinations(range(len(arms)), 2)}, first, tied, len(rounds), why,
    )  # fmt: skip
