"""What the layers of a study's network cost on this host: measured once, in a process of its own, and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trimwatt import _handoff, technique
from trimwatt._process import Child
from trimwatt.errors import TrialFailed
from trimwatt.recipe import Recipe
from trimwatt.study.candidate import Candidate
from trimwatt.study.worker import Handle
from trimwatt.technique.prune.costs import LayerCosts
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from trimwatt.study.engine import Engine


def costed(engine: Engine, candidate: Candidate, core: Recipe) -> Candidate:
    """The candidate with the costs that its pruning needs, measured now or before; as it is where they cannot be."""
    step = candidate.first("prune-budget")
    if step is None or step.costs:
        return candidate
    precision = "float32" if candidate.first("quantize") is None else "int8"
    costs = _known(engine, precision) or _measured(engine, core, precision)
    return candidate if costs is None else candidate.swapped(step, replace(step, costs=costs.rows, rest_s=costs.rest_s))


def _known(engine: Engine, precision: str) -> LayerCosts | None:
    told = engine.store.get(f"layer costs, {precision}")
    return LayerCosts.from_dict(told) if told else None


def _measured(engine: Engine, core: Recipe, precision: str) -> LayerCosts | None:
    engine.event("stage", text=f"what each layer costs here, {precision}")
    shop, limit_s = engine.workshop, max(15.0, 0.2 * engine.left_s())
    built = tuple(step for step in core if step.untrained)
    try:
        with engine.ledger.booking("measure", None, "costs of layers"), Child(
            "trimwatt.study.costing:serve", (precision,), server=shop.server,
            memory_limit_bytes=shop.memory_limit_bytes,
        ) as child:  # fmt: skip
            costs: LayerCosts = child.call((shop.base, built), limit_s)
    except TrialFailed as error:
        engine.event("warning", text=f"layers were not measured: {error}")
        return None
    engine.store.set(f"layer costs, {precision}", costs.to_dict())
    return costs


def serve(precision: str) -> Callable[[tuple[Handle, Recipe]], Any]:
    """The handler of the process that measures; only the shapes of the network matter, so it need not be trained."""

    def handle(asked: tuple[Handle, Recipe]) -> LayerCosts:
        from trimwatt.profile import layers

        base, built = asked
        workload: Workload = _handoff.read(base.path, base.digest)
        for step in built:
            workload = technique.apply(step, workload)
        return layers.measure(workload, precision)

    return handle
