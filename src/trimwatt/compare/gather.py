"""Drawing rounds until a rule says stop: sittings, and the caps in pairs, time and joules."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trimwatt.compare import affinity, pairing
from trimwatt.compare._base import Arm, Renewable
from trimwatt.compare.pairing import Ready, Round
from trimwatt.compare.plan import Plan
from trimwatt.meter import attribute
from trimwatt.meter._base import Meter

# shorter windows hold too few updates of a power counter
_COUNTER_BLOCK_S = 0.2
LEAST = 5

Stop = tuple[str, float]
"""Why to stop, and at which level the interval is then reported."""


@dataclass(frozen=True)
class Gathered:
    """The rounds of a comparison, how it was planned, why it stopped, and the warmed-up arms of the first sitting."""

    plan: Plan
    ready: Sequence[Ready]
    rounds: Sequence[Round]
    stop: Stop


def prepare(arms: Sequence[Arm], plan: Plan, meter: Meter | None) -> tuple[Plan, list[Ready]]:
    """The plan as this meter needs it, and the arms warmed up."""
    if meter is not None and meter.origin == "measured":
        plan = replace(plan, block_s=max(plan.block_s, _COUNTER_BLOCK_S))
    return plan, [pairing.warm_up(arm, plan) for arm in arms]


def gather(
    arms: Sequence[Arm], plan: Plan, rng: np.random.Generator, meter: Meter | None,
    weigh: Callable[[Sequence[Round], Plan], Stop | None], least: int = LEAST,
) -> Gathered:  # fmt: skip
    """Warm up, then draw rounds until `weigh` says stop, or, from `least` rounds, a cap of the plan is reached."""
    over = _caps(plan, meter)
    plan, ready = prepare(arms, plan, meter)
    first, rounds, sitting = ready, list[Round](), 0
    over_pairs = time.monotonic()
    with affinity.kept():
        while True:
            if rounds and plan.sitting and len(rounds) % plan.sitting == 0 and renewable(arms):
                sitting, ready = sitting + 1, renewed(ready, plan)
            rounds.append(pairing.draw_round(ready, plan, rng, meter, sitting))
            stop = weigh(rounds, plan)
            if stop is None and len(rounds) >= least:
                stop = over(len(rounds), over_pairs)
            if stop is not None:
                return Gathered(plan, first, rounds, stop)


def renewable(arms: Sequence[Arm]) -> bool:
    """Whether every arm can be served by a fresh process."""
    return all(isinstance(arm, Renewable) for arm in arms)


def renewed(ready: Sequence[Ready], plan: Plan) -> list[Ready]:
    """The arms in fresh processes, warmed up again where need be; their blocks keep their size."""
    cold = [isinstance(one.arm, Renewable) and one.arm.renew() for one in ready]
    # how many requests fill a block is known, and what a first block costs more was seen to be gone after three
    brief = replace(plan, warm_least=min(plan.warm_least, 3), warm_window=2, warm_most=6)
    return [pairing.warm_up(r.arm, brief, r.count) if again else r for r, again in zip(ready, cold, strict=True)]


def _caps(plan: Plan, meter: Meter | None) -> Callable[[int, float], Stop | None]:
    """Whether the plan's time or joules are spent; fewer pairs than planned are reported at the higher level."""
    start = meter.mark() if meter is not None and plan.most_j < float("inf") else None

    def over(pairs: int, since: float) -> Stop | None:
        level = plan.reported(pairs)
        if time.monotonic() - since > plan.most_s:
            return "the time given was over", level
        if meter is None or start is None:
            return None
        spent = attribute.process_share(meter, start, meter.mark()).joules
        return ("the energy given was spent", level) if spent > plan.most_j else None

    return over
