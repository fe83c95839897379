"""`tw.compare`: which of two or more takes less, with an interval, and no claim that this host cannot show."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from trimwatt import units
from trimwatt.compare import comparer, given
from trimwatt.compare._base import Arm
from trimwatt.compare.finals import Finals, finals
from trimwatt.compare.gather import LEAST
from trimwatt.compare.given import Asked, Opened
from trimwatt.compare.pairing import size_block
from trimwatt.compare.plan import Plan
from trimwatt.compare.result import Comparison, SelfTest
from trimwatt.errors import InputError, TrialFailed
from trimwatt.meter import attribute
from trimwatt.meter import pick as sensors
from trimwatt.meter._base import Meter

Budget = str | int | None
# what a comparison may take unless told otherwise
MOST_PAIRS, MOST_S, SITTING = 100, 300.0, 5
_SELF_TEST_SHARE = 0.25


def compare(
    a: Any, b: Any = None, *, data: Any = None, budget: Budget = None, precision: float = 0.02,
    minimum_effect: float = 0.02, parity: bool = True, batch_size: int = 1, threads: int = 1,
    request: Literal["array", "dict", "frame"] | None = None, seed: int = 0, self_test: bool = True,
    sensor: Meter | None = None, show: bool = False,
) -> Comparison | Finals:  # fmt: skip
    """How much `a` takes over `b`, or each of many: `compare([a, b, c])`, `compare({"name": a, ...})`.

    Arms: callables (called without arguments, or with rows where `data` is given), fitted models, artifacts (a folder
    or loaded), or commands as lists of words. Each runs in a process of its own where it can be handed over.
    data: rows for models and artifacts: an array, a DataFrame, a dict of columns, (x, y), or for artifacts a path.
    budget: a number of pairs, seconds like "30s" or joules like "200 J"; 100 pairs and 5 min unless given, and never
    fewer than 5 pairs. precision: half-width, as a share, at which to stop. minimum_effect: share below which nothing
    is claimed. parity: refuse arms whose results differ. self_test: compare the last arm with itself first.
    Returns a Comparison of two, Finals of more. Raises InputError for what cannot be compared.

        trimwatt.compare(lambda: sum(range(1000)), lambda: sum(list(range(1000))))
    """
    arms = given.named(_arms(a, b))
    asked = Asked(data, batch_size, threads, request, parity, show, seed)
    plan = planned(budget, precision, minimum_effect, threads)
    if len(arms) < 2:
        raise InputError(f"a comparison needs at least two arms, got {len(arms)}; give another")
    with ExitStack() as stack:
        opened = given.open_arms(arms, asked, stack)
        try:
            return _compared(opened, plan, sensor or sensors.pick(), np.random.default_rng(seed), self_test)
        except TrialFailed as error:
            raise InputError(f"the comparison could not be finished: {error}; check that the arms run alone") from error


def _arms(a: Any, b: Any) -> Mapping[str, Any] | Sequence[Any]:
    if b is not None:
        return [a, b]
    if isinstance(a, Mapping | list | tuple):
        return a
    raise InputError("a comparison needs two arms; give compare(a, b), compare([a, b, c]) or compare({name: a, ...})")


def planned(budget: Budget, precision: float, minimum_effect: float, threads: int) -> Plan:
    """The plan of a comparison that may take `budget`; raises InputError where that is too little or no budget."""
    for name, share in (("precision", precision), ("minimum_effect", minimum_effect)):
        if not 0 < share < 1:
            raise InputError(f"{name} is a share between 0 and 1, got {share:g}; did you mean {share / 100:g}?")
    plan = Plan(
        threads=threads, most_pairs=MOST_PAIRS, most_s=MOST_S, half_width=precision, minimum_effect=minimum_effect,
        sitting=SITTING,
    )  # fmt: skip
    if budget is None:
        return plan
    if isinstance(budget, int):
        if budget < LEAST:
            raise InputError(f"a comparison takes at least {LEAST} pairs, got {budget}; give more")
        return replace(plan, least_pairs=min(20, budget), most_pairs=budget, most_s=math.inf)
    most = units.parse_budget(budget)
    amount = {"most_s": most.amount} if most.kind == "s" else {"most_j": most.amount, "most_s": math.inf}
    return replace(plan, **amount)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Left:
    """What a plan still has once the self-test is done."""

    meter: Meter
    started_s: float
    mark: Any

    def of(self, plan: Plan) -> Plan:
        spent_s = time.monotonic() - self.started_s
        if math.isinf(plan.most_j):
            return replace(plan, most_s=max(0.0, plan.most_s - spent_s))
        spent_j = attribute.process_share(self.meter, self.mark, self.meter.mark()).joules
        return replace(plan, most_j=max(0.0, plan.most_j - spent_j))


def _compared(opened: Opened, plan: Plan, meter: Meter, rng: np.random.Generator, wanted: bool) -> Comparison | Finals:
    left, notes = _Left(meter, time.monotonic(), meter.mark()), opened.notes
    plan = _for_commands(plan) if opened.each_run_is_fresh else plan
    test, why = _self_test(opened, plan, rng, meter) if wanted else (None, "")
    plan, notes = left.of(plan), (*notes, why) if why else notes
    if len(opened.arms) == 2:
        found = comparer.compare(opened.arms[0], opened.arms[1], rng, plan, meter=meter, self_test=test)
        return replace(found, parity=opened.parity, warnings=(*notes, *found.warnings))
    many = finals(opened.arms, rng, plan, meter=meter, self_test=test, least=LEAST)
    return replace(many, parity=opened.parity, warnings=(*notes, *many.warnings))


def _for_commands(plan: Plan) -> Plan:
    """Each run is a fresh process, so that there is little to warm up."""
    return replace(plan, warm_least=1, warm_window=2, warm_most=5, warm_s=2.0)


def _self_test(opened: Opened, plan: Plan, rng: np.random.Generator, meter: Meter) -> tuple[SelfTest | None, str]:
    """The last arm against itself, within a quarter of what may be spent; None, and why, where that is too little."""
    base = opened.arms[-1]
    pairs = _affordable(base, plan, meter)
    if pairs < LEAST:
        return None, "no self-test: a run takes too long for one within what may be spent"
    with ExitStack() as own:
        twin = opened.twin(own)
        most = max(plan.most_pairs, pairs)
        return comparer.self_test(base, twin, rng, replace(plan, least_pairs=pairs, most_pairs=most), meter=meter), ""


def _affordable(arm: Arm, plan: Plan, meter: Meter) -> int:
    """Pairs of blocks that a quarter of the plan's time, joules or pairs pays for, at most 20."""
    count, start = size_block(arm, plan.block_s), meter.mark()
    block = arm.run(count)
    wall, joules = block.wall_s, attribute.process_share(meter, start, meter.mark(), block.cpu_s).joules
    shares = [20.0, float(plan.most_pairs), _SELF_TEST_SHARE * plan.most_s / (2 * wall)]
    if joules > 0:
        shares.append(_SELF_TEST_SHARE * plan.most_j / (2 * joules))
    return int(min(shares))
