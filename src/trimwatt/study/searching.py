"""Searches for good parameters of classical models: each in a process of its own, booked, kept for a resumed study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trimwatt import _handoff, recipe, technique
from trimwatt._process import Child
from trimwatt.errors import TrialFailed, TrimwattError
from trimwatt.study.candidate import Candidate
from trimwatt.study.worker import Clock, Handle, Usage
from trimwatt.technique.classical import tuning
from trimwatt.workload import Independence, Workload

if TYPE_CHECKING:
    from trimwatt.study.engine import Engine
    from trimwatt.study.space import Space

# share of the time left that each family may take; trees gain most from it, and what is not used is there for the next
_SHARES = {"boosted": 0.2, "forest": 0.1, "mlp": 0.12, "linear": 0.05, "neighbours": 0.04}
_MOST_ROWS = 60_000
_LEAST_S, _MOST_S = 1.0, 60.0
# a search looks at the clock between two fits; one that hangs in a fit is ended
_GRACE = 2.0
_KINDS = {
    "boosted": "boosted trees", "forest": "forests", "mlp": "dense networks", "linear": "linear models",
    "neighbours": "neighbours",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """Search `family` on the training rows of `base`."""

    base: Handle
    family: str
    limit_s: float
    max_drop: float


@dataclass(frozen=True)
class Answer:
    """What came of it, and what it took."""

    found: tuning.Found
    usage: Usage


def step_name(family: str) -> str:
    """What a search is called in the ledger and on the screen."""
    return f"search for {_KINDS[family]}"


def with_findings(engine: Engine, space: Space, queue: list[Candidate]) -> list[Candidate]:
    """The queue, with what a search found before it where one is due and there is time.

    The family that promises most is searched first; the strongest model found becomes a candidate, and is tried before
    the next search. An earlier run's findings are used again. What a model found cost includes its search.
    """
    while space.searches.is_due(queue):
        family = space.searches.pop_most_promising()
        answer = _known(engine, family) or (_searched(engine, family) if engine.left_s() >= _LEAST_S else None)
        if answer is None:
            continue
        for step in answer.found.techniques:
            engine.workshop.searched.setdefault(step, answer.usage.energy)
        found = space.found(answer.found.techniques)
        space.searches.wait_for(found)
        queue = [*found, *queue]
    return queue


def _searched(engine: Engine, family: str) -> Answer | None:
    limit_s, name, shop = min(_MOST_S, _SHARES[family] * engine.left_s()), step_name(family), engine.workshop
    if limit_s < _LEAST_S:
        engine.event("warning", text=f"no time for a {name}")
        return None
    engine.event("stage", text=name)
    asked = Asked(_rows(engine, family), family, limit_s, engine.options.max_drop)
    try:
        with engine.ledger.booking("train", None, name), Child(
            "trimwatt.study.searching:serve", (), server=shop.server, memory_limit_bytes=shop.memory_limit_bytes
        ) as child:  # fmt: skip
            answer: Answer = child.call(asked, _GRACE * limit_s + _LEAST_S)
            engine.ledger.book(None, [answer.usage])
    except TrialFailed as error:
        engine.event("warning", text=f"the {name} came to nothing: {error}")
        return None
    if answer.found.note:
        engine.event("warning", text=f"the {name} came to nothing: {answer.found.note}")
    engine.store.set(name, {"found": recipe.to_json(answer.found.techniques), "usage": answer.usage.to_dict()})
    return answer


def _rows(engine: Engine, family: str) -> Handle:
    """The training rows alone, a sample of very many, for the worker: it can read no others."""
    workload, path = engine.workload, engine.workshop.folder / f"search-{family}.bin"
    data = workload.rows
    train = data.sampled(workload.seed, _MOST_ROWS)
    none = train.take(slice(0, 0))
    alone = replace(data, train=train, val=none, test=none, unlabelled=None, original=None, independence=Independence())
    asked = Workload(
        alone, metric=workload.quality, decide=workload.decide, outputs=workload.outputs, seed=workload.seed
    )
    return Handle(path, _handoff.write(asked, path))


def _known(engine: Engine, family: str) -> Answer | None:
    """What an earlier run of this study found."""
    told = engine.store.get(step_name(family))
    try:
        return (
            Answer(tuning.Found(technique.from_json(told["found"])), Usage.from_dict(told["usage"])) if told else None
        )
    except (AttributeError, KeyError, TypeError, ValueError, TrimwattError):
        return None


def serve() -> Callable[[Asked], Answer]:
    """The handler of the process that searches."""
    clock = Clock()

    def handle(asked: Asked) -> Answer:
        base: Workload = _handoff.read(asked.base.path, asked.base.digest)
        usages: list[Usage] = []

        def search() -> Any:
            return tuning.tune(asked.family, base, asked.limit_s, asked.max_drop)

        found: tuning.Found = clock.measure(usages, "train", step_name(asked.family), search)
        return Answer(found, usages[0])

    return handle
