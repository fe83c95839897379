"""A study from beginning to end, and what it leaves in its folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimwatt import _imports, _signals, input, recipe, units
from trimwatt._process import ForkServer
from trimwatt.errors import InputError
from trimwatt.host.memory import free_bytes
from trimwatt.meter import pick, usage
from trimwatt.scenario import Request, Scenario
from trimwatt.store import Store, open_store
from trimwatt.store.deferring import DeferringStore
from trimwatt.study import again, conclude, crossing, fingerprint, settle, setup, stopped, validation
from trimwatt.study import baseline as baseline_first
from trimwatt.study import folder as folders
from trimwatt.study.bench import Bench, Floor
from trimwatt.study.candidate import Candidate
from trimwatt.study.engine import Engine
from trimwatt.study.judging import Judging
from trimwatt.study.ledger import Ledger
from trimwatt.study.options import Options
from trimwatt.study.reference import Reference
from trimwatt.study.space import Space
from trimwatt.study.start import Start
from trimwatt.study.summary import opening, plain
from trimwatt.study.workshop import Workshop
from trimwatt.trial import LedgerEntry
from trimwatt.workload import Data, Workload

_PRELOAD = (
    "trimwatt.study.worker",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.neural_network",
    "skl2onnx",
    "onnxruntime",
)
# seconds for the answers of the given model where the budget is not one of time
_ASKED_S = 10.0


class Silent:
    """Progress that nobody watches."""

    def event(self, kind: str, **fields: Any) -> None: ...


@dataclass(frozen=True)
class Finished:
    """A study that has ended: its folder, what study.json says, and the files that were written for people to read."""

    folder: Path
    summary: dict[str, Any]
    pages: list[Path]


def optimize(
    model: Any, data: Any, options: Options, *, start: Start | None = None, pages: conclude.Pages | None = None
) -> Finished:
    """Find the model that does the job for the least energy; what it finds is in the study's folder.

    model, data: as `tw.optimize` takes them. start: from when on its cost and its budget count; None is this call.
    pages: what writes the report, so that the study's cost includes it. Raises InputError, having written nothing, for
    what cannot be used.
    """
    start = start or Start.now()
    ledger = Ledger(pick.pick(), start)
    data = tuple(data) if isinstance(data, list) else data
    for module, extra in (
        ("onnxruntime", "onnx"),
        ("skl2onnx", "onnx"),
        ("sklearn", "sklearn"),
        ("cloudpickle", "sklearn"),
    ):
        _imports.require(module, extra, "A study")
    watch = options.progress or Silent()
    folder = folders.choose(options.output, data, options.resume, options.force)
    with _signals.as_interrupts(), _fork_server(model) as server:
        came, rows = _load(model, data, options)
        base, reference = _prepare(came, rows, options)
        first = setup.baseline(base, options.baseline)
        space = Space(base, first, options.techniques, options.recipes)
        budget = options.allowance
        watch.event(
            "start", data=rows.name, rows={n: len(getattr(rows, n)) for n in ("train", "val", "test")},
            baseline=first.name, budget=str(budget), metric=base.quality.name, origin=ledger.meter.origin,
            budget_s=budget.amount if budget.kind == "s" else None,
        )  # fmt: skip
        with folders.Place(folder, options.resume) as place:
            return _run(base, options, first, space, place, server, watch.event, ledger, pages, reference)


def _load(model: Any, data: Any, options: Options) -> tuple[Workload | None, Data]:
    """The model as it came, and the rows with their task; raises InputError for what cannot be read."""
    input.check_exists(data)
    came = None if model is None else input.load_model(model)
    rows, _ = input.load(
        data, target=options.target, split=options.split, group=options.group, time=options.time,
        task=setup.task_of(options.task, options.outputs), seed=options.seed, val_from=options.val_from,
        as_stored=model is not None, needs=setup.fitted_columns(came),
    )  # fmt: skip
    return came, rows


def _prepare(came: Workload | None, rows: Data, options: Options) -> tuple[Workload, Reference | None]:
    """The job, and the answers of the given model itself where one was given that can be asked."""
    scenario = Scenario(options.batch_size, options.threads, _request(options.request, rows))
    given = setup.load_given(came, rows)
    base = setup.workload(
        given, rows, metric_name=options.metric, positive=options.positive, scenario=scenario,
        seed=options.seed, train=options.train, outputs=options.outputs, classes=options.classes,
    )  # fmt: skip
    return setup.ask_given(given, base, _share_s(options.allowance))


def _run(
    base: Workload, options: Options, first: Candidate, space: Space, place: folders.Place, server: ForkServer | None,
    event: Any, ledger: Ledger, pages: conclude.Pages | None, reference: Reference | None,
) -> Finished:  # fmt: skip
    folder = place.folder
    kept = DeferringStore(open_store(folder, lock=place.lock), lambda text: event("warning", text=text))
    with place.guarded(), contextlib.closing(kept) as store:
        store.claim()
        _same_study(store, options, base, first, None if reference is None else reference.asked.given.model)
        store.set(stopped.ABOUT, plain(opening(base, options, ledger.meter)))
        event = stopped.Watch(place, store, event)
        memory = 0.8 * free_bytes()
        judged = _validation(base, store)
        workshop = Workshop(replace(base, data=judged.whole), folder / "work", server, memory)
        bench = Bench(base, ledger.meter, Floor(options.max_drop, options.floor), memory)
        bench.reference = reference
        _open_ledger(ledger, store, server)
        chooses = options.seeks_reference and base.form == "none"
        judging = Judging(bench, judged, folder / "trials", chooses)
        engine = Engine(base, options, folder, workshop, bench, judging, ledger, store, event)
        try:
            found = baseline_first.run(engine, first)
            place.settle()
            event("trial", trial=found.baseline.to_dict(), n=1, left=None)
            engine.search(space, found)
            settle.decide(engine, found)
            settle.confirm(engine, found)
            again.fit_on_all(engine, found)
        finally:
            with _signals.held_back():
                bench.close()
                folders.tidy(folder)
            lost = stopped.keep_waiting(store, event)
        found.notes += lost
        if server is not None:
            server.close()
        return Finished(folder, *conclude.conclude(engine, found, pages))


def _validation(base: Workload, store: Store) -> validation.Validation:
    """How candidates are judged: a study that is resumed goes on as it was begun."""
    note = store.get(crossing.ONE_SPLIT)
    return validation.on_one_split(base.rows, str(note)) if note else validation.plan(base)


def _open_ledger(ledger: Ledger, store: Store, server: ForkServer | None) -> None:
    """Go on from what earlier runs booked, and keep what this one used until now."""
    ledger.resume([LedgerEntry.from_dict(entry) for entry in store.ledger()])
    if server is not None and (took_s := server.ready_after_s()) is not None:
        step = "start of the process that workers come from"
        ledger.book_beside("prepare", step, usage.process_cpu_s(server.pid), took_s)
    ledger.keep = lambda entries: store.add_entries([entry.to_dict() for entry in entries])
    ledger.keep(ledger.take_pending())
    ledger.turn_to("prepare", "between the steps")


def _share_s(budget: units.Budget) -> float:
    """Seconds that asking the given model itself may take: a share of the budget."""
    return 0.05 * budget.amount if budget.kind == "s" else _ASKED_S


def _request(asked: Request | None, rows: Data) -> Request:
    if asked is None:
        return "dict" if rows.named else "array"
    if (asked == "array") == rows.named:
        allowed = "dict or frame" if rows.named else "array"
        raise InputError(f"a request for these rows is {allowed}, got {asked!r}; leave it out for the usual form")
    return asked


@contextlib.contextmanager
def _fork_server(model: Any) -> Iterator[ForkServer | None]:
    """Started first, so that it imports the frameworks while the data are read."""
    if not hasattr(os, "fork") or os.uname().sysname != "Linux":
        yield None
        return
    modules = [*_PRELOAD, *(["torch", "torch._dynamo", "torch_pruning"] if _imports.available("torch") else [])]
    server = ForkServer(modules)
    try:
        yield server
    finally:
        server.close()


def _same_study(store: Store, options: Options, base: Workload, first: Candidate, own: Any) -> None:
    """A study is resumed only with what it was started with; raises InputError otherwise."""
    asked = {
        "options": options.identity(base.scenario),
        "baseline": recipe.to_json(first.recipe),
        **fingerprint.of(base, own),
    }
    asked = json.loads(json.dumps(asked, default=str))
    kept = store.study()
    if kept is None:
        store.save_study(asked)
        return
    if changed := [name for name in asked if kept.get(name) != asked[name]]:
        what = " and ".join(changed)
        raise InputError(f"the study here was started with other {what}; resume it as it was, or choose another folder")
