"""Two arms in randomised pairs: screening against a baseline, a full comparison, an arm against itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from trimwatt.compare import affinity, pairing
from trimwatt.compare._base import Arm, Block
from trimwatt.compare.pairing import Ready, Round
from trimwatt.compare.plan import Plan
from trimwatt.compare.result import Comparison, SelfTest, Side, verdict
from trimwatt.compare.statistics import Array, Interval, yuen
from trimwatt.energy import Energy
from trimwatt.meter._base import Meter

# shorter windows hold too few updates of a power counter
_COUNTER_BLOCK_S = 0.2


def screen(
    baseline: Arm, candidate: Arm, rng: np.random.Generator, plan: Plan | None = None, *,
    meter: Meter | None = None, self_test: SelfTest | None = None,
) -> Comparison:  # fmt: skip
    """Candidate over baseline, stopping early where the effect is large: enough to screen, not to choose by."""
    return _run(candidate, baseline, rng, plan or Plan(), meter, self_test, early=True)


def compare(
    a: Arm, b: Arm, rng: np.random.Generator, plan: Plan | None = None, *,
    meter: Meter | None = None, self_test: SelfTest | None = None,
) -> Comparison:  # fmt: skip
    """a over b, from at least `plan.least_pairs` pairs unless `plan.most_s` runs out."""
    return _run(a, b, rng, plan or Plan(), meter, self_test, early=False)


def self_test(
    arm: Arm, twins: Arm | Sequence[Arm], rng: np.random.Generator, plan: Plan | None = None, *,
    meter: Meter | None = None,
) -> SelfTest:  # fmt: skip
    """An arm against its twins (the same, opened again) in exactly `plan.least_pairs` rounds.

    Two processes of one model can differ for as long as they live, by how their memory happens to lie: 1.2 % (standard
    deviation) was seen for a model that answers in 10 us. More twins see more of it. The pair furthest apart counts.
    """
    every = [arm, *(twins if isinstance(twins, Sequence) else [twins])]
    wanted, ready = prepare(every, plan or Plan(), meter)
    with affinity.kept():
        rounds = [pairing.draw_round(ready, wanted, rng, meter) for _ in range(wanted.least_pairs)]
    basis = basis_of(rounds, meter)
    pairs = [evidence(rounds, i, j, basis).interval(wanted.level) for i, j in combinations(range(len(every)), 2)]
    worst = max(pairs, key=_reach)
    ratio, pinned = worst.exp(), all(r.cores is not None for r in rounds)
    return SelfTest(ratio.value, ratio.low, ratio.high, len(rounds), math.expm1(_reach(worst)), pinned, len(every))


def _reach(logs: Interval) -> float:
    """How far from 1 an interval goes."""
    return max(abs(logs.low), abs(logs.high))


def warn(test: SelfTest | None, plan: Plan) -> tuple[str, ...]:
    """What a reader must know before believing a small effect."""
    if test is None:
        return ()
    warnings: tuple[str, ...] = ()
    limit = f"this host cannot resolve {plan.half_width:.1%}: effects below {test.resolution:.1%} are not claimed"
    if test.resolution > plan.half_width:
        warnings += (limit,)
    if not test.passed:
        warnings += (f"two processes of the same model differed by {test.ratio - 1:+.1%} in the self-test",)
    return warnings if test.pinned else (*warnings, "arms could not be kept on one core; the self-test decides")


@dataclass(frozen=True)
class Evidence:
    """log(a/b) of each pair; bounds: the same with the meter's own bounds, which shift all pairs together."""

    logs: Array
    bounds: tuple[Array, ...]
    basis: str

    def interval(self, level: float) -> Interval:
        """Yuen's, widened by what the meter does not know of both arms alike."""
        result = yuen(self.logs, level)
        for shifted in self.bounds:
            result = result.hull(yuen(shifted, level))
        return result


def per_request(block: Block, basis: str) -> float:
    """CPU seconds or dynamic joules a request."""
    if basis == "dynamic_energy" and block.energy is not None:
        return block.energy.joules / block.requests
    return block.cpu_s / block.requests


def basis_of(rounds: Sequence[Round], meter: Meter | None) -> str:
    """Energy where a sensor gave some for every block, CPU seconds otherwise: a model knows nothing more than those."""
    if meter is None or meter.origin != "measured":
        return "cpu_seconds"
    known = all(b.energy is not None and b.energy.joules > 0 for r in rounds for b in r.blocks)
    return "dynamic_energy" if known else "cpu_seconds"


def evidence(rounds: Sequence[Round], a: int, b: int, basis: str) -> Evidence:
    """What the rounds say of arm `a` over arm `b`."""
    pairs = [(r.blocks[a], r.blocks[b]) for r in rounds]
    logs = np.array([math.log(per_request(x, basis) / per_request(y, basis)) for x, y in pairs])
    if basis != "dynamic_energy":
        return Evidence(logs, (), basis)
    ends: list[Callable[[Energy], float]] = [lambda e: e.low, lambda e: e.high]
    bounds = [_shifted(pairs, end) for end in ends]
    return Evidence(logs, tuple(s for s in bounds if s is not None), basis)


def _shifted(pairs: Sequence[tuple[Block, Block]], end: Callable[[Energy], float]) -> Array | None:
    values = [(end(x.energy) / x.requests, end(y.energy) / y.requests) for x, y in pairs if x.energy and y.energy]
    if len(values) < len(pairs) or any(x <= 0 or y <= 0 for x, y in values):
        return None
    return np.array([math.log(x / y) for x, y in values])


def gross_ratio(rounds: Sequence[Round], a: int, b: int, level: float) -> dict[str, float] | None:
    """a over b with the idle share by wall time included; None where no meter looked."""
    logs = []
    for r in rounds:
        x, y = r.blocks[a], r.blocks[b]
        if x.gross is None or y.gross is None or x.gross.joules <= 0 or y.gross.joules <= 0:
            return None
        logs.append(math.log(x.gross.joules / x.requests) - math.log(y.gross.joules / y.requests))
    found = yuen(np.array(logs), level).exp()
    return {"value": found.value, "low": found.low, "high": found.high}


def prepare(arms: Sequence[Arm], plan: Plan, meter: Meter | None) -> tuple[Plan, list[Ready]]:
    """The plan as this meter needs it, and the arms warmed up."""
    if meter is not None and meter.origin == "measured":
        plan = replace(plan, block_s=max(plan.block_s, _COUNTER_BLOCK_S))
    return plan, [pairing.warm_up(arm, plan) for arm in arms]


def settled(logs: Interval, plan: Plan) -> str | None:
    """Why an interval needs no more pairs, or None."""
    if logs.half_width < plan.half_width:
        return "precise enough"
    half = math.log1p(plan.minimum_effect / 2)
    return "the effect is clear" if logs.low > half or logs.high < -half else None


def large(logs: Interval, plan: Plan) -> bool:
    """Whether the whole interval lies beyond the early factor, either way."""
    factor = math.log(plan.early_factor)
    return logs.low > factor or logs.high < -factor


def _stop(rounds: Sequence[Round], plan: Plan, meter: Meter | None, early: bool) -> tuple[str, float] | None:
    """Why to stop now and at which level the interval is then reported, or None to go on."""
    n = len(rounds)
    if not (plan.looks_at(n) or (early and n in plan.early_looks)):
        return ("all pairs were used", plan.level) if n >= plan.most_pairs else None
    found = evidence(rounds, 0, 1, basis_of(rounds, meter))
    if early and n in plan.early_looks and large(found.interval(plan.early_level), plan):
        return "the effect is large", plan.early_level
    if plan.looks_at(n) and (why := settled(found.interval(plan.level), plan)):
        return why, plan.level
    return ("all pairs were used", plan.level) if n >= plan.most_pairs else None


def _run(
    a: Arm, b: Arm, rng: np.random.Generator, plan: Plan, meter: Meter | None, test: SelfTest | None, early: bool
) -> Comparison:
    plan, ready = prepare((a, b), plan, meter)
    rounds: list[Round] = []
    started = time.monotonic()
    stop: tuple[str, float] | None = None
    with affinity.kept():
        while stop is None:
            rounds.append(pairing.draw_round(ready, plan, rng, meter))
            stop = _stop(rounds, plan, meter, early)
            if stop is None and len(rounds) >= 5 and time.monotonic() - started > plan.most_s:
                level = plan.level if len(rounds) >= plan.least_pairs else plan.early_level
                stop = "the time given was over", level
    return judge((a, b), rounds, (0, 1), plan, meter, test, stop)


def judge(
    arms: Sequence[Arm], rounds: Sequence[Round], which: tuple[int, int], plan: Plan, meter: Meter | None,
    test: SelfTest | None, stop: tuple[str, float],
) -> Comparison:  # fmt: skip
    """The comparison that `rounds` give of two of their arms."""
    why, level = stop
    i, j = which
    found = evidence(rounds, i, j, basis_of(rounds, meter))
    logs = found.interval(level)
    ratio = logs.exp()
    sides = [Side(arms[k].name, tuple(r.blocks[k] for r in rounds)) for k in (i, j)]
    return Comparison(
        sides[0], sides[1], ratio.value, ratio.low, ratio.high, len(rounds),
        verdict(logs, plan.minimum_effect, test.resolution if test else 0.0), found.basis,
        float(np.mean(found.logs < 0)), why, all(r.cores is not None for r in rounds), test,
        gross_ratio(rounds, i, j, level), warn(test, plan),
    )  # fmt: skip
