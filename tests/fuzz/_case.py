"""A model with its data, and what the opened baseline makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt import input, runtime
from trimwatt.compare import host
from trimwatt.errors import InputError, TrialFailed
from trimwatt.runtime import deployed
from trimwatt.runtime._base import Artifact
from trimwatt.scenario import Scenario
from trimwatt.study import setup
from trimwatt.workload import Data, Rows

Array = np.ndarray[Any, Any]
# slow models are asked for fewer rows
PATIENCE_S = 0.3
# rows that come in a file of their own
ALONE = 12


@dataclass(frozen=True, eq=False)
class Case:
    """What a user has.

    data: (train, val, test) pairs. rows: the user's own validation rows. own: the user's own answers to them `(n,)`,
    labels where `classify`. store: from a folder to the source that `tw.optimize` is given, where that is not `data`;
    options: what goes with it. own_code: whether the model holds code that no artifact opens again.
    """

    name: str
    model: Any
    data: Any
    classify: bool
    rows: Any
    own: Array
    store: Callable[[Path], Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    own_code: bool = False


def tells_classes_apart(case: Case) -> bool:
    """Whether the data could be judged at all: some rows of each class, or values that differ, in each split."""
    targets = [np.asarray(y) for _, y in case.data]
    if not case.classify:
        return all(float(np.ptp(y)) > 0 for y in targets)
    counts = [np.unique(y, return_counts=True)[1] for y in (*targets, case.own)]
    return all(len(found) == len(counts[0]) > 1 and found.min() >= 4 for found in counts)


@dataclass(frozen=True)
class Outcome:
    """kind: "equal", "refused", "differs" or "traceback"; reason: why, in one line.

    handed_over: why the written artifact cannot be opened again (code of the user's own in it), "" where it can.
    """

    kind: str
    reason: str = ""
    name: str = ""
    handed_over: str = ""


class Served:
    """An opened artifact that answers as a session's process does, in this one."""

    def __init__(self, artifact: Artifact, scenario: Scenario, rows: Rows) -> None:
        self._handle = host.serve(artifact, scenario, rows)

    def predict(self, rows: Rows, batch: int | None) -> Array:
        """Labels or values (n,)."""
        return np.asarray(self._handle(("predict", rows, batch)))

    def scores(self, rows: Rows, batch: int | None) -> Array:
        """Probabilities (n, k) or values (n,)."""
        return np.asarray(self._handle(("scores", rows, batch)))


def judge(case: Case, folder: Path, as_study: bool = True) -> Outcome:
    """What a study makes of the case: its opened baseline and the artifact it hands over answer the user's rows.

    as_study: hold the baseline to the model by the study's own check too, which asks for rows one at a time.
    """
    try:
        return _judged(case, folder, as_study)
    except (InputError, TrialFailed) as error:
        lines = str(error).splitlines() or [""]
        kind = "refused" if len(lines) == 1 else "traceback"
        return Outcome(kind, lines[0], case.name)
    except Exception as error:  # whatever else comes up is what a user would see as a traceback
        return Outcome("traceback", f"{type(error).__name__}: {error}".splitlines()[0], case.name)


def _judged(case: Case, folder: Path, as_study: bool) -> Outcome:
    task = "classification" if case.classify else "regression"
    source = case.store(folder) if case.store else case.data
    rows, kind = input.load(source, task=task, as_stored=True, **case.options)
    scenario = Scenario(1, 1, "dict" if rows.named else "array")
    given = setup.workload(case.model, rows, metric_name=None, positive=None, scenario=scenario, seed=0, train=False)
    own = setup.load_given(case.model, rows) if as_study else None
    given, reference = setup.ask_given(own, given, PATIENCE_S)
    first = setup.baseline(given, None)
    serving = runtime.get(first.runtime)
    (folder / "trial").mkdir()
    artifact = serving.export(given, folder / "trial")
    baseline = Served(artifact, scenario, rows.val.x)
    reason = difference(case, baseline.predict(rows.val.x, None)) or _from_file(case, baseline, rows, source)
    if reason:
        return Outcome("differs", f"baseline: {reason}", case.name)
    if reference is not None:
        # what answers alike must not be refused either
        reference.check_baseline(baseline)  # type: ignore[arg-type]
    place = deployed.write(
        folder / "artifact", artifact, task=kind, metric=given.quality.name, classes=rows.classes,
        input=input.describe(rows), recipe=[], figures={}, scenario=scenario,
    )  # fmt: skip
    try:
        reason = difference(case, deployed.load(place).predict(case.rows))
    except InputError as error:
        if not case.own_code:
            raise
        return Outcome("equal", "", case.name, str(error))
    return Outcome("differs", f"artifact: {reason}", case.name) if reason else Outcome("equal", "", case.name)


def _from_file(case: Case, baseline: Served, rows: Data, source: Any) -> str:
    """Where answers to the user's rows differ once they come in a file of the kind that training came in."""
    if not isinstance(source, Path) or source.suffix not in (".csv", ".parquet"):
        return ""
    path = source.with_stem("later")
    manifest = json.loads(json.dumps(input.describe(rows)))

    def ask(some: Any) -> Array:
        some.to_parquet(path) if path.suffix == ".parquet" else some.to_csv(path, index=False)
        return baseline.predict(input.rows_for_prediction(path, manifest), None)

    reason = difference(case, ask(case.rows))
    if not reason:  # the cells of one row say less of their columns
        alone = np.concatenate([ask(case.rows[row : row + 1]) for row in range(ALONE)])
        reason = difference(replace(case, own=case.own[:ALONE]), alone)
    return f"from a file: {reason}" if reason else ""


def difference(case: Case, found: Array) -> str:
    """Where the answers are not the user's own; "" where they are."""
    if found.shape != case.own.shape:
        return f"shape {found.shape}, own {case.own.shape}"
    if case.classify:
        wrong = np.flatnonzero([_plain(a) != _plain(b) for a, b in zip(found, case.own, strict=True)])
        return f"{len(wrong)} labels, first {found[wrong[0]]!r} for {case.own[wrong[0]]!r}" if len(wrong) else ""
    spread = max(float(np.ptp(case.own)), 1e-12)
    error = float(np.abs(np.asarray(found, "float64") - np.asarray(case.own, "float64")).max())
    return "" if error <= 1e-5 * spread else f"values by {error / spread:.2g} of their spread"


def _plain(label: Any) -> Any:
    """A label as itself: numpy's number as Python's, text and numbers apart."""
    value = label.item() if isinstance(label, np.generic) else label
    return (isinstance(value, str), value)
