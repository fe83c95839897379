"""What a worker process does: the steps of a recipe, then the export, each metered by the study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from trimwatt import _handoff, framework, runtime, technique
from trimwatt._child import peak_rss_bytes, reason
from trimwatt.compare.host import in_chunks
from trimwatt.energy import Energy
from trimwatt.errors import TrialFailed
from trimwatt.framework import finite, onnx
from trimwatt.framework.prepare import columns_read
from trimwatt.meter import attribute, pick
from trimwatt.runtime import verify
from trimwatt.runtime._base import Artifact, Session
from trimwatt.workload import Array, Data, Split, Workload

# training rows that are asked
_SEEN = 2000


@dataclass(frozen=True)
class Handle:
    """Where this run left an object for another process, and its digest."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Usage:
    """What one step took."""

    stage: str
    step: str
    energy: Energy
    cpu_s: float
    duration_s: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "energy": self.energy.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Usage:
        """What `to_dict` gave."""
        return cls(**{**data, "energy": Energy.from_dict(data["energy"])})


@dataclass(frozen=True)
class Job:
    """Apply `steps` (each with its content address) to what `start` holds, then export for `runtime` into `folder`.

    judged: whether the opened export is to answer the validation rows, a fold's, instead of being checked. seen:
    whether it is to answer a sample of the training rows too. threshold: one that is known beforehand.
    """

    base: Handle
    start: Handle | None
    steps: tuple[tuple[Any, str], ...]
    cache: Path
    runtime: str | None
    folder: Path | None
    judged: bool = False
    seen: bool = True
    threshold: float | None = None


@dataclass
class Outcome:
    """What came of a job, as far as it got; `failure` says why it went no further.

    val, train: what the opened export answers to the validation rows, where that was asked, and to a sample of the
    training rows. threshold: the one that a step of it chose.
    """

    usages: list[Usage] = field(default_factory=list)
    made: list[tuple[str, Handle]] = field(default_factory=list)
    artifact: Artifact | None = None
    parameters: int | None = None
    macs: int | None = None
    failure: str | None = None
    late: bool = False
    peak_rss_bytes: int | None = None
    val: Array | None = None
    train: Array | None = None
    threshold: float | None = None


class Clock:
    """Meters a stretch of this process's work."""

    def __init__(self) -> None:
        self.meter = pick.pick()

    def measure(self, usages: list[Usage], stage: str, step: str, work: Callable[[], Any]) -> Any:
        """The result of `work`; what it took is added to `usages`, also where it fails."""
        before = self.meter.mark()
        try:
            return work()
        finally:
            after = self.meter.mark()
            energy = attribute.process_share(self.meter, before, after)
            usages.append(Usage(stage, step, energy, after.cpu_s - before.cpu_s, after.time_s - before.time_s))


def serve(seed: int) -> Callable[[Job], Outcome]:
    """The handler of a worker process."""
    clock = Clock()

    def handle(job: Job) -> Outcome:
        outcome = Outcome()
        try:
            _run(job, outcome, clock)
        except Exception as error:  # what a converter or a model raises is this trial's reason, whatever its type
            outcome.failure = reason(error)
        outcome.peak_rss_bytes = peak_rss_bytes()
        return outcome

    return handle


def _run(job: Job, outcome: Outcome, clock: Clock) -> None:
    base: Workload = _handoff.read(job.base.path, job.base.digest)
    data = base.rows
    workload = base if job.start is None else _attach(job.start, data)
    workload = workload if job.threshold is None else replace(workload, threshold=job.threshold)
    source = workload
    for step, key in job.steps:
        workload = clock.measure(outcome.usages, step.books, step.name, partial(technique.apply, step, workload))
        outcome.made.append((key, _detach(workload, job.cache / f"{key}.bin")))
        # lowering changes nothing but the form, so that an export is held to what was lowered
        source = source if step.name == "lower" else workload
    outcome.threshold = workload.decide.threshold if workload.decide and not workload.decide.own else None
    if job.runtime is None or job.folder is None:
        return
    folder, kind = job.folder, runtime.get(job.runtime)
    export = partial(_export, workload, kind, folder)
    artifact, lowered = clock.measure(outcome.usages, "export", kind.name, export)
    outcome.artifact = artifact
    outcome.parameters, outcome.macs = _size(workload, lowered)
    check = partial(_ask, outcome, source, kind, artifact, data, job)
    clock.measure(outcome.usages, "evaluate", "held-out rows" if job.judged else "check of the export", check)


def _attach(handle: Handle, data: Data) -> Workload:
    workload: Workload = _handoff.read(handle.path, handle.digest)
    return replace(workload, data=data)


def _detach(workload: Workload, path: Path) -> Handle:
    """Kept without the rows, which every worker has already."""
    return Handle(path, _handoff.write(replace(workload, data=None), path))


def _export(workload: Workload, kind: Any, folder: Path) -> tuple[Artifact, Workload]:
    lowered = workload if workload.form in kind.forms else onnx.lower(workload)
    for stage in (workload, lowered):
        if unfinite := finite.find_unfinite(stage):
            raise TrialFailed(unfinite)
    # not its parents: where the user has removed the study's folder, it is not made again
    folder.mkdir(exist_ok=True)
    artifact, answers = kind.export(lowered, folder), lowered.answers or None
    return replace(artifact, columns=columns_read(workload.prepare), classes=answers), lowered


def _size(workload: Workload, lowered: Workload) -> tuple[int | None, int | None]:
    source = workload if workload.form != "none" else lowered
    module = framework.get(source.form)
    return module.parameters(source), module.macs(source)


def _ask(outcome: Outcome, source: Workload, kind: Any, artifact: Artifact, data: Data, job: Job) -> None:
    """Have the opened export answer; raises TrialFailed where it answers otherwise than its source on real rows."""
    session: Session = kind.open(artifact, source.scenario)
    if job.judged:
        outcome.val = read(source, session, data.val)
    elif (reason := verify.verify(source, session, data.val.sample(500, source.seed).x)) is not None:
        raise TrialFailed(reason)
    if job.seen:
        outcome.train = read(source, session, seen(data, source.seed))


def seen(data: Data, seed: int) -> Split:
    """Training rows by which quality on rows that a model has learned from is told."""
    return data.train.sample(_SEEN, seed)


def read(workload: Workload, session: Session, rows: Split) -> Array:
    """What the metric reads, as an opened artifact answers these rows."""
    request = workload.scenario.request
    batch = workload.scenario.batch_size if workload.by_batch else None
    return workload.task.read(
        workload,
        lambda: in_chunks(session.predict, rows.x, request, batch),
        lambda: in_chunks(session.scores, rows.x, request, batch),
    )
