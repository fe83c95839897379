"""A given model asked, adopted, exported and opened in this process, as a study does it in others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimwatt import input, runtime
from trimwatt.compare import host
from trimwatt.runtime._base import Session
from trimwatt.scenario import Scenario
from trimwatt.study import setup
from trimwatt.study.candidate import Candidate
from trimwatt.study.reference import Reference
from trimwatt.workload import Array, Rows, Workload


class Here:
    """A session that answers in this process what a `SessionArm` answers from another. change: applied to labels."""

    def __init__(self, session: Session, scenario: Scenario) -> None:
        self.session, self.request = session, scenario.request

    def predict(self, rows: Rows, batch: int | None = None) -> Array:
        return host.in_chunks(self.session.predict, rows, self.request, batch)

    def scores(self, rows: Rows, batch: int | None = None) -> Array:
        return host.in_chunks(self.session.scores, rows, self.request, batch)


@dataclass(frozen=True)
class Given:
    """What stands before the search: the workload, the reference, the baseline as proposed."""

    work: Workload
    reference: Reference
    baseline: Candidate

    def open(self, name: str, folder: Path) -> Here:
        """The model as given in the runtime of that name."""
        folder.mkdir(exist_ok=True)
        kind = runtime.get(name)
        return Here(kind.open(kind.export(self.work, folder), self.work.scenario), self.work.scenario)


def ask(model: Any, data: Any, batch_size: int = 1, most_s: float = 600.0, metric: str | None = None) -> Given:
    """Load, adopt and ask as `tw.optimize(model, data=data)` does; no host is so slow that `most_s` cuts rows."""
    rows, _ = input.load(data, as_stored=True)
    given = setup.load_given(model, rows)
    scenario = Scenario(batch_size, 1, "dict" if rows.named else "array")
    work = setup.workload(given, rows, metric_name=metric, positive=None, scenario=scenario, seed=0, train=False)
    work, reference = setup.ask_given(given, work, most_s)
    assert reference is not None
    return Given(work, reference, setup.baseline(work, None))


def checked(model: Any, data: Any, folder: Path, **how: Any) -> Given:
    """`ask`, and the opened baseline held to the answers; raises InputError where they differ."""
    found = ask(model, data, **how)
    found.reference.check_baseline(found.open(found.baseline.runtime, folder))  # type: ignore[arg-type]
    return found
