"""Two arms in randomised pairs: screening against a baseline, a full comparison, an arm against itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from trimwatt.compare import affinity, error, pairing
from trimwatt.compare._base import Arm, Block
from trimwatt.compare.gather import LEAST, Gathered, Stop, gather, prepare
from trimwatt.compare.pairing import Round
from trimwatt.compare.plan import Plan
from trimwatt.compare.result import Comparison, SelfTest, Side, verdict
from trimwatt.compare.statistics import Array, Interval, grouped, p_value, yuen
from trimwatt.energy import Energy
from trimwatt.meter._base import Meter

__all__ = ["Evidence", "basis_of", "compare", "evidence", "judge", "prepare", "replay", "screen", "self_test"]


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
    """a over b, from at least `plan.least_pairs` pairs unless a cap of the plan comes first."""
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


def warn(test: SelfTest | None, plan: Plan, decides: bool = True) -> tuple[str, ...]:
    """What a reader must know before believing a small effect. decides: whether the self-test limits the claims."""
    if test is None:
        return ()
    warnings: tuple[str, ...] = ()
    limit = f"this host cannot resolve {plan.half_width:.1%}: effects below {test.resolution:.1%} are not claimed"
    if test.resolution > plan.half_width and decides:
        warnings += (limit,)
    if not test.passed:
        warnings += (f"two processes of the same model differed by {test.ratio - 1:+.1%} in the self-test",)
    return warnings if test.pinned else (*warnings, "arms could not be kept on one core; the self-test decides")


@dataclass(frozen=True)
class Evidence:
    """log(a/b) of each pair; bounds: the same with the meter's own bounds, which shift all pairs together.

    sittings: which of them each pair belongs to.
    """

    logs: Array
    bounds: tuple[Array, ...]
    basis: str
    sittings: Array

    def random(self, level: float) -> Interval:
        """Yuen's interval, at least as wide as sittings differ: what more pairs would narrow."""
        return spread(self.logs, self.sittings, level)

    def interval(self, level: float) -> Interval:
        """The same, widened by what the meter does not know."""
        result = self.random(level)
        for shifted in self.bounds:
            result = result.hull(spread(shifted, self.sittings, level))
        return result


def spread(logs: Array, sittings: Array, level: float) -> Interval:
    """Yuen's interval of the mean of `logs` (n,), at least as wide as their `sittings` (n,) differ."""
    return yuen(logs, level).at_least(grouped(logs, sittings, level))


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
    sittings = np.array([r.sitting for r in rounds])
    if basis != "dynamic_energy":
        return Evidence(logs, (), basis, sittings)
    low, high = (lambda e: e.low), (lambda e: e.high)
    # one scale for both arms where they use the same resources, each its own where they do not
    ends = [(low, low), (high, high)] if error.same_mix(pairs) else [(low, high), (high, low)]
    bounds = [_shifted(pairs, mine, theirs) for mine, theirs in ends]
    return Evidence(logs, tuple(s for s in bounds if s is not None), basis, sittings)


_End = Callable[[Energy], float]


def _shifted(pairs: Sequence[tuple[Block, Block]], mine: _End, theirs: _End) -> Array | None:
    values = [(mine(x.energy) / x.requests, theirs(y.energy) / y.requests) for x, y in pairs if x.energy and y.energy]
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
    found = spread(np.array(logs), np.array([r.sitting for r in rounds]), level).exp()
    return {"value": found.value, "low": found.low, "high": found.high}


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


def _stop(n: int, interval: Callable[[float], Interval], plan: Plan, early: bool) -> Stop | None:
    """Why to stop after `n` pairs and at which level the interval is then reported, or None to go on."""
    if early and n in plan.early_looks and large(interval(plan.early_level), plan):
        return "the effect is large", plan.early_level
    level = plan.reported(n)
    if plan.looks_at(n) and (why := settled(interval(level), plan)):
        return why, level
    return ("all pairs were used", level) if n >= plan.most_pairs else None


@dataclass(frozen=True)
class Replayed:
    """What the rule says of recorded pairs: how many it takes, the interval of their log-ratio, and the verdict."""

    pairs: int
    logs: Interval
    verdict: str


def replay(logs: Array, sittings: Array, plan: Plan, *, resolution: float = 0.0, early: bool = False) -> Replayed:
    """Apply the stopping rule to recorded pairs `logs` (n,) of known `sittings` (n,): how the rule itself is tried."""
    most = min(len(logs), plan.most_pairs)
    for n in range(LEAST, most + 1):
        stop = _stop(n, lambda level, n=n: spread(logs[:n], sittings[:n], level), plan, early)  # type: ignore[misc]
        if stop is not None or n == most:
            found = spread(logs[:n], sittings[:n], stop[1] if stop else plan.level)
            return Replayed(n, found, verdict(found, plan.minimum_effect, resolution))
    raise ValueError(f"a replay needs at least {LEAST} pairs, got {len(logs)}")


def _run(
    a: Arm, b: Arm, rng: np.random.Generator, plan: Plan, meter: Meter | None, test: SelfTest | None, early: bool
) -> Comparison:
    def weigh(rounds: Sequence[Round], plan: Plan) -> Stop | None:
        n = len(rounds)
        if not plan.looks_at(n) and not (early and n in plan.early_looks) and n < plan.most_pairs:
            return None
        return _stop(n, evidence(rounds, 0, 1, basis_of(rounds, meter)).interval, plan, early)

    return judge((a, b), gather((a, b), plan, rng, meter, weigh), (0, 1), meter, test)


def judge(
    arms: Sequence[Arm], found: Gathered, which: tuple[int, int], meter: Meter | None, test: SelfTest | None
) -> Comparison:
    """The comparison that the rounds give of two of their arms."""
    (why, level), rounds, (i, j), plan = found.stop, found.rounds, which, found.plan
    seen = evidence(rounds, i, j, basis_of(rounds, meter))
    logs, random = seen.interval(level), seen.random(level).exp()
    ratio, pinned = logs.exp(), all(r.cores is not None for r in rounds)
    decides = test is not None and not (test.passed and pinned and test.pinned and rounds[-1].sitting >= 3)
    sides = [
        Side(arms[k].name, tuple(r.blocks[k] for r in rounds), found.ready[k].dropped, found.ready[k].count)
        for k in (i, j)
    ]
    uncounted = any(side.uncounted for side in sides)
    claimed = verdict(logs, plan.minimum_effect, test.resolution if test and decides else 0.0)
    return Comparison(
        sides[0], sides[1], ratio.value, ratio.low, ratio.high, len(rounds),
        "inconclusive" if uncounted else claimed, seen.basis,
        float(np.mean(seen.logs < 0)), why, pinned, test, gross_ratio(rounds, i, j, level),
        (*_told(sides), *warn(test, plan, decides), *_few(len(rounds), plan, level)),
        random_error={"low": random.low, "high": random.high, "level": level},
        model_error=error.model_error([(r.blocks[i], r.blocks[j]) for r in rounds]),
        sittings=rounds[-1].sitting + 1, p=p_value(seen.logs, seen.sittings),
    )  # fmt: skip


def _told(sides: Sequence[Side]) -> tuple[str, ...]:
    """What could not be counted of the processes that the arms started, and where counting is a lower bound."""
    found = [
        f"not all processes were counted, so nothing is claimed: {s.name}: {w}" for s in sides for w in s.uncounted
    ]
    if any(side.counted == "polling" for side in sides):
        found.append("processes were counted by looking at them every 10 ms: a lower bound")
    if any(side.counted == "waited" for side in sides):
        found.append("this system does not tell of children that nobody waits for: they are not counted")
    return tuple(found)


def _few(pairs: int, plan: Plan, level: float) -> tuple[str, ...]:
    if level <= plan.level:
        return ()
    return (f"{pairs} pairs, fewer than {max(20, plan.least_pairs)}: interval at the higher level of {level:.1%}",)
