"""What each layer of a network costs on this host at several widths, measured in ONNX Runtime."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import _edit, lower
from trimwatt.framework.onnx.run import open_session
from trimwatt.framework.torch.shapes import LayerShape
from trimwatt.profile._models import layer_model
from trimwatt.technique import _graph
from trimwatt.technique._base import apply
from trimwatt.technique.prune import _ties
from trimwatt.technique.prune.costs import LayerCosts
from trimwatt.technique.quantize import StaticInt8
from trimwatt.workload import Array, Workload

COPIES = 3
Cell = tuple[LayerShape, int, int]
Ask = Callable[[], Any]


def measure(
    workload: Workload,
    precision: str = "float32",
    scope: str = "inner",
    shares: Sequence[float] = (0.25, 0.5, 0.75),
    rounds: int = 15,
    block_s: float = 0.004,
) -> LayerCosts:
    """Measure the layers of a PyTorch workload whose channels `prune-budget` could remove, in the scenario it has.

    precision: "float32" or "int8". scope: as of `prune-channels`. shares: of channels left, besides all, in (0, 1).
    rounds: how often each width is timed, in an order drawn anew each round, for about block_s seconds of CPU time;
    medians are kept. What the network takes besides these layers is measured on the whole of it. Raises TrialFailed
    where nothing can be pruned.
    """
    require("torch_pruning", "torch", "Measuring layers")
    if precision not in ("float32", "int8"):
        raise InputError(f"precision is 'float32' or 'int8', got {precision!r}")
    if workload.form != "torch":
        raise InputError(f"layers are measured of a PyTorch model, got a model as {workload.form!r}")
    for share in shares:
        if not 0 < share < 1:
            raise InputError(f"shares are in (0, 1), got {share:g}")
    cells = _cells(workload, scope, shares)
    asks = _asks(workload, {cell for _, cell, _ in cells}, precision == "int8")
    spent = timed(asks, rounds, block_s, workload.scenario.threads, workload.seed)
    alone = {cell: _alone(spent[cell, COPIES], spent[cell, 1]) for _, cell, _ in cells}
    rows = tuple((layer, cell[1], cell[2], _rounded(runs * alone[cell])) for layer, cell, runs in cells)
    widest = {layer: seconds for layer, _, _, seconds in rows}  # of each layer the widest comes last
    rest = _rounded(max(0.0, float(np.median(spent["whole"])) - sum(widest.values())))
    return LayerCosts(rows, rest, workload.scenario.batch_size, workload.scenario.threads, precision)


def _alone(several: Array, one: Array) -> float:
    """Seconds of one layer: the median difference of rounds between several and one, spread over the difference."""
    return max(0.0, float(np.median(several - one)) / (COPIES - 1))


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.3g}")


def _cells(workload: Workload, scope: str, shares: Sequence[float]) -> list[tuple[str, Cell, int]]:
    """(layer, its shape at a width, times it runs): each layer that can be pruned at all its widths, rising."""
    from trimwatt.framework.torch.groups import groups
    from trimwatt.framework.torch.run import evaluated, example
    from trimwatt.framework.torch.shapes import layer_shapes

    found = groups(workload.model, example(workload), scope)
    shapes = layer_shapes(evaluated(workload.model), example(workload, workload.scenario.batch_size))
    tied = _ties.ties(found, shapes)
    if not tied:
        raise TrialFailed(f"no layer of this network can be pruned by scope {scope!r}, so none was measured")
    cells: list[tuple[str, Cell, int]] = []
    for layer, mine in tied.items():
        shape = shapes[layer]
        alike = replace(shape, layer="", inputs=0, outputs=0, groups=int(shape.depthwise) + 1, runs=1)
        for i, o in _grid(shape, mine, shares):
            cells.append((layer, (alike, i, o), shape.runs))
    return cells


def _grid(shape: LayerShape, tied: Sequence[_ties.Tie], shares: Sequence[float]) -> list[tuple[int, int]]:
    """All (inputs, outputs) of a layer when the groups tied to it have the widths to be measured."""
    sides: dict[str, set[int]] = {"in": set(), "out": set()}
    for tie in tied:
        for width in widths(tie.channels, shares):
            size = _ties.widths(replace(shape, groups=1), [tie], {tie.group: width})
            sides[tie.side].add(size[tie.side == "out"])
    taken = {1} if shape.depthwise else sides["in"] | {shape.inputs}
    return list(itertools.product(sorted(taken), sorted(sides["out"] | {shape.outputs})))


def widths(channels: int, shares: Sequence[float]) -> list[int]:
    """The full width and those left by `shares`, in steps of 8 from 32 channels on, of 4 from 8 on, else of 1."""
    step = 8 if channels >= 32 else 4 if channels >= 8 else 1
    return sorted({channels, *(min(channels, max(step, round(channels * share / step) * step)) for share in shares)})


def _asks(workload: Workload, cells: set[Cell], int8: bool) -> dict[Hashable, Ask]:
    """What is timed: the whole network, and each layer alone and several times side by side."""
    core = lower(workload)
    asks: dict[Hashable, Ask] = {"whole": asking(apply(StaticInt8(), core) if int8 else core)}
    # sets have an order of their own in each process; the order drawn must repeat
    for cell in sorted(cells, key=repr):
        for copies in (1, COPIES):
            made, x = layer_model(*cell, copies, int8)
            asks[cell, copies] = _ask(made, {"x": x}, workload.scenario.threads)
    return asks


def asking(workload: Workload) -> Ask:
    """A request to an ONNX workload's core network, as many training rows as the scenario says, to be timed."""
    rows = workload.rows.train.take(slice(0, workload.scenario.batch_size)).x
    inputs = [entry.name for entry in _edit.free_inputs(_edit.load(workload.model))]
    return _ask(workload.model, _graph.feeds(workload, rows, inputs), workload.scenario.threads)


def _ask(model: bytes, given: dict[str, Array], threads: int) -> Ask:
    session = open_session(model, threads)
    return lambda: session.run(None, given)


def timed(asks: Mapping[Hashable, Ask], rounds: int, block_s: float, threads: int, seed: int) -> dict[Any, Array]:
    """CPU seconds (rounds,) of one call of each, all called in each round in an order drawn by lot."""
    clock = time.thread_time if threads == 1 else time.process_time
    calls = {key: _calls(ask, block_s, clock) for key, ask in asks.items()}
    rng, keys = np.random.default_rng(seed), list(asks)
    spent: dict[Any, list[float]] = {key: [] for key in keys}
    for _ in range(rounds):
        for k in rng.permutation(len(keys)):
            spent[keys[k]].append(_block(asks[keys[k]], calls[keys[k]], clock))
    return {key: np.array(values) for key, values in spent.items()}


def _calls(ask: Ask, block_s: float, clock: Callable[[], float]) -> int:
    """How many calls make a block, after a first one that only warms up."""
    ask()
    return max(1, round(block_s / max(1e-7, _block(ask, 3, clock))))


def _block(ask: Ask, calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(calls):
        ask()
    return (clock() - start) / calls
