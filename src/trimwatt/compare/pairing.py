"""Blocks: sized alike, warmed up, drawn in random order on cores drawn by lot."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from trimwatt.compare import affinity, conditions
from trimwatt.compare._base import Arm, Block
from trimwatt.compare.plan import Plan
from trimwatt.errors import TrialFailed
from trimwatt.meter import attribute
from trimwatt.meter._base import Meter

_LONGEST_BLOCK_S = 2.0


@dataclass(frozen=True)
class Ready:
    """An arm warmed up: how many requests fill one of its blocks, and the blocks that were dropped."""

    arm: Arm
    count: int
    dropped: tuple[Block, ...]


def size_block(arm: Arm, block_s: float) -> int:
    """How many requests take `block_s` CPU seconds; fewer where they would wait for more than 2 s on something."""
    count = 1
    while True:
        block = arm.run(count)
        if block.cpu_s >= block_s or block.wall_s >= _LONGEST_BLOCK_S:
            return count
        growth = 1.2 * block_s / block.cpu_s if block.cpu_s > 0 else 10.0
        count = math.ceil(count * min(10.0, max(1.5, growth)))


def warm_up(arm: Arm, plan: Plan, count: int | None = None) -> Ready:
    """Size the arm's blocks and run them until they take the same; raises TrialFailed if none takes CPU time.

    count: requests of a block, where its size is known from an earlier sitting.
    """
    known, count = count, count or size_block(arm, plan.block_s)
    blocks: list[Block] = []
    started = time.monotonic()
    while len(blocks) < plan.warm_most and not _steady(blocks, plan):
        if len(blocks) >= plan.warm_least and time.monotonic() - started > plan.warm_s:
            break
        blocks.append(arm.run(count))
    per_request = float(np.median([b.cpu_s / b.requests for b in blocks[-plan.warm_window :]]))
    if per_request <= 0:
        raise TrialFailed(f"{arm.name} takes no CPU time that the clock can see; there is nothing to compare")
    slow = blocks[-1].wall_s >= _LONGEST_BLOCK_S
    return Ready(arm, count if slow or known else max(1, math.ceil(plan.block_s / per_request)), tuple(blocks))


def _steady(blocks: Sequence[Block], plan: Plan) -> bool:
    w = plan.warm_window
    if len(blocks) < max(plan.warm_least, 2 * w):
        return False
    cpu = np.array([b.cpu_s for b in blocks[-2 * w :]])
    before, last = float(cpu[:w].mean()), float(cpu[w:].mean())
    return abs(last - before) <= plan.warm_within * before


def metered(run: Callable[[], Block], meter: Meter | None, threads: int) -> Block:
    """The block with its energy: what the meter gives of the machine's to the CPU seconds it took."""
    if meter is None:
        return run()
    start = meter.mark()
    block = run()
    end = meter.mark()
    dynamic = attribute.dynamic(meter, start, end, block.cpu_s)
    idle = attribute.idle(meter, start, end, threads)
    return replace(block, energy=dynamic, gross=None if dynamic is None or idle is None else dynamic + idle)


@dataclass(frozen=True)
class Round:
    """One block of every arm, in the arms' order, all on the same `cores` (None where they could not be pinned).

    sitting: how often the arms had been opened again before it.
    """

    blocks: tuple[Block, ...]
    cores: frozenset[int] | None
    order: tuple[int, ...]
    sitting: int = 0


def draw_round(
    ready: Sequence[Ready], plan: Plan, rng: np.random.Generator, meter: Meter | None = None, sitting: int = 0
) -> Round:
    """Run one block of each arm, in an order and on cores drawn by lot.

    The same cores for all: on cores of their own identical arms differed in a quarter of quiet comparisons, since
    one core is slower than the other for many blocks on end and no order cancels that.
    """
    cores = affinity.draw(plan.cores or affinity.available(), plan.threads, rng)
    pins = [one.arm.pin(cores) for one in ready]
    blocks: list[Block | None] = [None] * len(ready)
    order = tuple(int(i) for i in rng.permutation(len(ready)))
    for place, i in enumerate(order):
        run = partial(metered, partial(ready[i].arm.run, ready[i].count), meter, plan.threads)
        blocks[i] = conditions.watched(run, cores if pins[i] else affinity.available(), pins[i], place)
    return Round(tuple(b for b in blocks if b is not None), cores if all(pins) else None, order, sitting)
