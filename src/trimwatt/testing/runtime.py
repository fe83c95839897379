"""What every runtime must do. Inherit `RuntimeContract`, give `runtime` and `workload`, and pytest runs it all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trimwatt import framework
from trimwatt import runtime as runtimes
from trimwatt.framework.rows import as_request
from trimwatt.runtime._base import Artifact, Runtime, Session
from trimwatt.runtime.verify import verify
from trimwatt.scenario import Scenario
from trimwatt.testing.technique import fingerprint
from trimwatt.workload import Rows, Workload, count, take

_ROWS = 100


def _rows(workload: Workload, n: int = _ROWS) -> Rows:
    return take(workload.rows.val.x, slice(0, n))


class RuntimeContract:
    """The checks that every runtime passes.

    Give two fixtures: `runtime`, an instance; `workload`, small, real and fitted, in a form that the runtime exports.
    """

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "artifact"
        folder.mkdir()
        return folder

    @pytest.fixture
    def artifact(self, runtime: Runtime, workload: Workload, folder: Path) -> Artifact:
        return runtime.export(workload, folder)

    @pytest.fixture
    def session(self, runtime: Runtime, workload: Workload, artifact: Artifact) -> Session:
        return runtime.open(artifact, workload.scenario)

    def test_is_found_by_its_name(self, runtime: Runtime) -> None:
        assert runtime.name in runtimes.names()
        assert type(runtimes.get(runtime.name)) is type(runtime)
        assert runtime.forms <= set(framework.FORMS)
        # whether opening can run code is said, not assumed
        assert isinstance(runtime.trusted, bool)

    def test_writes_only_into_its_folder(self, artifact: Artifact, runtime: Runtime, tmp_path: Path) -> None:
        assert [path.name for path in tmp_path.iterdir()] == ["artifact"]
        assert artifact.runtime == runtime.name
        assert artifact.files and all((artifact.folder / name).is_file() for name in artifact.files)
        assert artifact.size_bytes > 0

    def test_answers_as_its_source(self, session: Session, workload: Workload) -> None:
        assert verify(workload, session, _rows(workload)) is None

    def test_gives_predictions_and_scores(self, session: Session, workload: Workload) -> None:
        rows = as_request(_rows(workload), workload.scenario.request)
        scores, predicted = session.scores(rows), session.predict(rows)
        classes, target = workload.rows.classes or (), workload.task.target
        assert len(predicted) == count(_rows(workload))
        assert predicted.shape == (scores.shape if target == "labels" else (len(scores),))
        assert scores.shape == (predicted.shape if target == "value" else (len(predicted), len(classes)))
        if target == "class":
            assert set(predicted.tolist()) <= set(classes)
            np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-3)

    def test_one_row_and_many_agree(self, session: Session, workload: Workload) -> None:
        rows, request = _rows(workload, 16), workload.scenario.request
        many = session.scores(as_request(rows, request))
        each = [session.scores(as_request(take(rows, slice(i, i + 1)), request)) for i in range(count(rows))]
        coarse = getattr(session, "error_bound", 0.0)
        bound = coarse if coarse > 1e-3 else 1e-5
        np.testing.assert_allclose(np.concatenate(each), many, rtol=1e-4, atol=bound)

    def test_files_suffice_without_the_live_object(
        self, runtime: Runtime, workload: Workload, artifact: Artifact
    ) -> None:
        for path in artifact.folder.iterdir():
            if path.name not in artifact.files:
                path.unlink()
        session = runtime.open(replace(artifact, live=None), workload.scenario)
        assert verify(workload, session, _rows(workload)) is None

    def test_exporting_leaves_the_workload_alone(self, runtime: Runtime, workload: Workload, folder: Path) -> None:
        before = fingerprint(workload)
        runtime.export(workload, folder)
        assert fingerprint(workload) == before

    def test_runs_on_two_threads(self, runtime: Runtime, workload: Workload, artifact: Artifact) -> None:
        scenario = Scenario(threads=2, request=workload.scenario.request)
        assert verify(workload, runtime.open(artifact, scenario), _rows(workload)) is None
