"""scikit-learn itself: the estimator as it was fitted, with the preprocessing and decision around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt import _handoff
from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import decision
from trimwatt.framework import sklearn as framework
from trimwatt.framework.rows import from_request, own_frame, takes_requests
from trimwatt.rows.columns import kind_of
from trimwatt.runtime import _skops
from trimwatt.runtime._base import Artifact, Session
from trimwatt.runtime._functions import detach
from trimwatt.scenario import Scenario
from trimwatt.workload import Array, Decide, Outputs, Prepare, Rows, Workload

_LIVE, _FILE = "live.bin", "model.skops"
_MOST_CODES = 100_000


@dataclass(frozen=True, eq=False)
class Predictor:
    """An estimator with what stands around it. columns: name and whether text of each column, None for one array."""

    estimator: Any
    prepare: Prepare | None
    decide: Decide | None
    outputs: Outputs
    class_columns: tuple[int, ...] | None
    columns: dict[str, bool] | None


class SklearnRuntime:
    """Writes the object itself for this run and `model.skops` for later; opens the latter without pickle."""

    name = "sklearn"
    forms = frozenset({"sklearn"})
    trusted = True

    def export(self, workload: Workload, folder: Path) -> Artifact:
        """Write `live.bin` and `model.skops`; raises TrialFailed for a model that is no scikit-learn estimator."""
        if workload.form != "sklearn":
            raise TrialFailed(f"the sklearn runtime runs scikit-learn estimators, got a {workload.form} model")
        predictor = _predictor(workload)
        digest = _handoff.write(predictor, folder / _LIVE)
        skops = require("skops.io", "sklearn", "Saving scikit-learn models without pickle")
        skops.dump(detach(predictor), folder / _FILE)
        return Artifact(folder, self.name, (_FILE,), digest)

    def open(self, artifact: Artifact, scenario: Scenario) -> Session:
        """A session; raises InputError where only the file is left and it holds types that are not trusted."""
        live = artifact.folder / _LIVE
        if artifact.live is not None and live.is_file():
            predictor = _handoff.read(live, artifact.live)
        else:
            predictor = _durable(artifact.content(_FILE))
        return SklearnSession(predictor, scenario.threads)


def _predictor(workload: Workload) -> Predictor:
    rows = workload.rows.train.x
    columns = {name: kind_of(c) == "text" for name, c in rows.items()} if isinstance(rows, dict) else None
    return Predictor(
        workload.model, workload.prepare, workload.decide, workload.outputs, workload.class_columns, columns
    )


def _durable(data: bytes) -> Predictor:
    predictor = _skops.read(data, _FILE)
    if not isinstance(predictor, Predictor):
        raise InputError(f"{_FILE} holds {type(predictor).__name__}, which is no predictor of trimwatt")
    return predictor


class SklearnSession:
    """A predictor ready to answer, on the threads of the scenario."""

    def __init__(self, predictor: Predictor, threads: int) -> None:
        import threadpoolctl  # type: ignore[import-untyped]

        self._predictor = predictor
        # joblib's workers cost more than they bring where one thread is asked
        for estimator in _estimators(predictor.estimator):
            if getattr(estimator, "n_jobs", None) is not None:
                estimator.n_jobs = threads
        self._limits = threadpoolctl.threadpool_limits(threads)
        self.takes_requests = takes_requests(predictor.prepare)
        self._texts = frozenset(name for name, text in (predictor.columns or {}).items() if text)
        self._labels = _labels(predictor)
        self._reader = Workload(outputs=predictor.outputs)

    def predict(self, rows: Rows) -> Array:
        """Labels or values (n,)."""
        p = self._predictor
        given = self._given(rows)
        if p.decide is None:
            return np.asarray(p.estimator.predict(given)).reshape(-1)
        if p.decide.threshold is not None and not p.decide.own:
            return p.decide.labels(self._probabilities(given))
        answer = np.asarray(p.estimator.predict(given)).reshape(-1)
        return answer if self._labels is None else self._labels(answer)

    def scores(self, rows: Rows) -> Array:
        """Probabilities (n, k) in the order of the classes, or values (n,)."""
        return self._probabilities(self._given(rows))

    def _probabilities(self, given: Any) -> Array:
        p = self._predictor
        classes = p.decide.classes if p.decide else ()
        found = self._reader.probabilities(framework.raw(p.estimator, p.outputs, given, classes))
        if p.class_columns is None or p.decide is None:
            return found
        full = np.zeros((len(found), len(p.decide.classes)), dtype=np.float32)
        full[:, list(p.class_columns)] = found
        return full

    def _given(self, rows: Any) -> Any:
        p = self._predictor
        if p.columns is None:
            return p.prepare.transform(rows) if p.prepare else rows
        if p.prepare is None:
            return (
                own_frame(framework.known_columns(p.estimator, rows)) if isinstance(rows, dict) else self._known(rows)
            )
        return p.prepare.transform(rows if self.takes_requests else from_request(rows, self._texts))

    def _known(self, frame: Any) -> Any:
        names = getattr(self._predictor.estimator, "feature_names_in_", None)
        return frame if names is None or len(names) == frame.shape[1] else frame[list(names)]


def _estimators(estimator: Any) -> list[Any]:
    """The estimator and all inside it."""
    inside = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    return [estimator, *(part for part in inside if hasattr(part, "n_jobs"))]


def _labels(predictor: Predictor) -> Callable[[Array], Array] | None:
    """Turns the estimator's labels or codes into the labels of the data; None where they are the same."""
    if predictor.decide is None:
        return None
    names = decision.known_classes(predictor.estimator, predictor.decide.classes)
    known = np.asarray(names)
    codes = predictor.class_columns or range(len(predictor.decide.classes))
    labels = np.asarray([predictor.decide.classes[code] for code in codes])
    if known.dtype.kind == labels.dtype.kind and (known == labels).all():
        return None
    if known.dtype.kind not in "iu" or known.min() < 0 or known.max() > _MOST_CODES:
        return lambda answer: np.asarray(labels[decision.codes_of(answer, names)])
    table = np.empty(int(known.max()) + 1, dtype=labels.dtype)
    table[known] = labels
    return lambda answer: np.asarray(table[answer])
