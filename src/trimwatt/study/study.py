"""A study from beginning to end, and what it leaves in its folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import psutil

from trimwatt import _imports, input, recipe, units
from trimwatt._process import ForkServer
from trimwatt.errors import InputError
from trimwatt.meter import pick
from trimwatt.meter._base import Mark, Meter
from trimwatt.scenario import Scenario
from trimwatt.store import Store, open_store
from trimwatt.study import deliver, fingerprint, settle, setup
from trimwatt.study import folder as folders
from trimwatt.study.bench import Bench, Floor
from trimwatt.study.candidate import Candidate
from trimwatt.study.engine import Engine
from trimwatt.study.ledger import Ledger
from trimwatt.study.options import Limits, Options
from trimwatt.study.space import Space
from trimwatt.study.summary import plain, summarize
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


class Silent:
    """Progress that nobody watches."""

    def event(self, kind: str, **fields: Any) -> None: ...


class Study:
    """A finished study: `to_dict()` is study.json."""

    def __init__(self, folder: Path, summary: dict[str, Any]) -> None:
        self.folder, self._summary = folder, summary

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
    strict: bool = False, bold: bool = False, train: bool = False, progress: Any = None,
) -> Study:  # fmt: skip
    """Find the model that does the job for the least energy; what it finds is in `Study.folder`.

    Raises InputError, having written nothing, for what cannot be used.
    """
    started, meter = monotonic(), pick.pick()
    data = tuple(data) if isinstance(data, list) else data
    opened = meter.mark()
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
    with _fork_server(model) as server:
        rows, kind = input.load(
            data,
            target=target,
            split=split,
            group=group,
            time=time,
            task=task,
            seed=seed,
            val_from=val_from,
            as_stored=model is not None,
        )
        scenario = Scenario(batch_size, threads, _request(request, rows))  # type: ignore[arg-type]
        options = Options(
            max_drop, floor, limits, units.parse_budget(budget), scenario,
            baseline if isinstance(baseline, str) else None, techniques, seed, strict, bold,
        )  # fmt: skip
        base = setup.workload(
            model, rows, kind, metric_name=metric, positive=positive, scenario=scenario, seed=seed, train=train
        )
        first = setup.baseline(base, baseline)
        space = Space(base, first, techniques)
        watch.event(
            "start", data=rows.name, rows={n: len(getattr(rows, n)) for n in ("train", "val", "test")},
            baseline=first.name, budget=str(options.budget), metric=base.quality.name, origin=meter.origin,
            budget_s=options.budget.amount if options.budget.kind == "s" else None,
        )  # fmt: skip
        with folders.Place(folder, resume) as place:
            return _run(base, options, first, space, place, server, watch.event, Opened(started, meter, opened))


@dataclass(frozen=True)
class Opened:
    """When the study began, by the clock and by the meter."""

    started: float
    meter: Meter
    mark: Mark


def _run(
    base: Workload, options: Options, first: Candidate, space: Space, place: folders.Place, server: ForkServer | None,
    event: Any, opened: Opened,
) -> Study:  # fmt: skip
    folder, meter = place.folder, opened.meter
    with contextlib.closing(open_store(folder)) as store:
        _same_study(store, options, base, first)
        memory = 0.8 * psutil.virtual_memory().available
        workshop = Workshop(base, folder / "work", server, memory)
        bench = Bench(base, meter, Floor(options.max_drop, options.floor), memory)
        ledger = Ledger(meter, [LedgerEntry.from_dict(entry) for entry in store.ledger()])
        ledger.since(opened.mark, "prepare", "data, model and worker processes")
        engine = Engine(base, options, folder, workshop, bench, ledger, store, event, opened.started)
        try:
            found = engine.run_baseline(first)
            place.settle()
            event("trial", trial=found.baseline.to_dict(), n=1, left=None)
            engine.search(space, found)
            settle.decide(engine, found)
            settle.confirm(engine, found)
            summary = plain(summarize(engine, found))
            artifact = deliver.hand_over(engine, found, summary)
        finally:
            bench.close()
            folders.tidy(folder)
    summary["artifact"] = artifact and artifact.name
    folders.write_json(folder / "study.json", summary)
    event("end", verdict=summary["verdict"])
    return Study(folder, summary)


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


def _same_study(store: Store, options: Options, base: Workload, first: Candidate) -> None:
    """A study is resumed only with what it was started with; raises InputError otherwise."""
    asked = {"options": options.identity(), "baseline": recipe.to_json(first.recipe), **fingerprint.of(base)}
    asked = json.loads(json.dumps(asked, default=str))
    kept = store.study()
    if kept is None:
        store.save_study(asked)
        return
    if changed := [name for name in asked if kept.get(name) != asked[name]]:
        what = " and ".join(changed)
        raise InputError(f"the study here was started with other {what}; resume it as it was, or choose another folder")
