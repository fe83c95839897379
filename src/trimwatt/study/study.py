"""A study from beginning to end, and what it leaves in its folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from trimwatt import _imports, _signals, input, recipe, units
from trimwatt._process import ForkServer
from trimwatt.errors import InputError
from trimwatt.host.memory import free_bytes
from trimwatt.meter import pick, usage
from trimwatt.scenario import Scenario
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
from trimwatt.study.options import Limits, Options
from trimwatt.study.reference import Reference
from trimwatt.study.space import Space
from trimwatt.study.start import Start
from trimwatt.study.summary import opening, plain
from trimwatt.study.workshop import Workshop
from trimwatt.trial import LedgerEntry, Trial
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


class Study:
    """A finished study: `to_dict()` is study.json; `pages` are the files that were written for people to read."""

    def __init__(self, folder: Path, summary: dict[str, Any], pages: Sequence[Path] = ()) -> None:
        self.folder, self._summary, self.pages = folder, summary, list(pages)

    def to_dict(self) -> dict[str, Any]:
        return self._summary

    @property
    def verdict(self) -> str:
        return str(self._summary["verdict"])

    @property
    def trials(self) -> list[Trial]:
        return [Trial.from_dict(trial) for trial in self._summary["trials"]]

    @property
    def exit_code(self) -> int:
        return int(self._summary["exit_code"])


def optimize(
    model: Any = None, *, data: Any, target: str | None = None, split: str | None = None, group: str | None = None,
    time: str | None = None, val_from: Literal["train", "test"] = "train", task: str = "auto",
    metric: str | None = None, positive: Any = None, max_drop: float = 0.01, floor: float | None = None,
    max_latency: str | float | None = None, max_size: str | float | None = None, max_memory: str | float | None = None,
    budget: str = "10min", batch_size: int = 1, threads: int = 1, request: str | None = None, baseline: Any = None,
    techniques: str = "all", seed: int = 0, output: str | Path | None = None, resume: bool = False, force: bool = False,
    strict: bool = False, bold: bool = False, train: bool = False, reference: str = "best", refit: str = "train+val",
    outputs: Literal["logits", "probabilities", "values"] | None = None, classes: Any = None, progress: Any = None,
    start: Start | None = None, pages: conclude.Pages | None = None,
) -> Study:  # fmt: skip
    """Find the model that does the job for the least energy; what it finds is in `Study.folder`.

    outputs: what a given network answers with, where its answers to the data's rows cannot tell. classes: which class
    each of its outputs stands for: a list, {index: name}, or the path of a file with one name per line or JSON.
    reference: whose quality the floor is relative to where no model is given: "best", the strongest model that the
    study finds, or "baseline". refit: what the model handed over is fitted on: "train+val", or "all", which adds the
    test rows once it is confirmed on them. start: from when on its cost and its budget count; None is this call. pages:
    what writes the report, so that the study's cost includes it. Raises InputError, having written nothing, for what
    cannot be used.
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
    watch = progress or Silent()
    limits = Limits(
        _parsed(max_latency, units.parse_duration),
        _parsed(max_size, units.parse_bytes),
        _parsed(max_memory, units.parse_bytes),
    )
    folder = folders.choose(output, data, resume, force)
    with _signals.as_interrupts(), _fork_server(model) as server:
        input.check_exists(data)
        came = None if model is None else input.load_model(model)
        rows, _ = input.load(
            data,
            target=target,
            split=split,
            group=group,
            time=time,
            task=setup.task_of(task, outputs),
            seed=seed,
            val_from=val_from,
            as_stored=model is not None,
            needs=setup.fitted_columns(came),
        )
        scenario = Scenario(batch_size, threads, _request(request, rows))  # type: ignore[arg-type]
        options = Options(
            max_drop, floor, limits, units.parse_budget(budget), scenario,
            baseline if isinstance(baseline, str) else None, techniques, seed, strict, bold, reference, refit,
        )  # fmt: skip
        given = setup.load_given(came, rows)
        base = setup.workload(
            given, rows, metric_name=metric, positive=positive, scenario=scenario, seed=seed, train=train,
            outputs=outputs, classes=classes,
        )  # fmt: skip
        base, asked = setup.ask_given(given, base, _share_s(options.budget))
        first = setup.baseline(base, baseline)
        space = Space(base, first, techniques)
        watch.event(
            "start", data=rows.name, rows={n: len(getattr(rows, n)) for n in ("train", "val", "test")},
            baseline=first.name, budget=str(options.budget), metric=base.quality.name, origin=ledger.meter.origin,
            budget_s=options.budget.amount if options.budget.kind == "s" else None,
        )  # fmt: skip
        with folders.Place(folder, resume) as place:
            return _run(base, options, first, space, place, server, watch.event, ledger, pages, asked)


def _run(
    base: Workload, options: Options, first: Candidate, space: Space, place: folders.Place, server: ForkServer | None,
    event: Any, ledger: Ledger, pages: conclude.Pages | None, reference: Reference | None,
) -> Study:  # fmt: skip
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
        return Study(folder, *conclude.conclude(engine, found, pages))


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


def _parsed(value: str | float | None, parse: Callable[[str], float]) -> float | None:
    return parse(value) if isinstance(value, str) else value


def _request(asked: str | None, rows: Data) -> str:
    if asked is None:
        return "dict" if rows.named else "array"
    if (asked == "array") == rows.named or asked not in ("array", "dict", "frame"):
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
    asked = {"options": options.identity(), "baseline": recipe.to_json(first.recipe), **fingerprint.of(base, own)}
    asked = json.loads(json.dumps(asked, default=str))
    kept = store.study()
    if kept is None:
        store.save_study(asked)
        return
    if changed := [name for name in asked if kept.get(name) != asked[name]]:
        what = " and ".join(changed)
        raise InputError(f"the study here was started with other {what}; resume it as it was, or choose another folder")
