"""Real tables, as deployed: people's text with gaps, thousands of rows, every kind of request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trimwatt import input as inputs
from trimwatt import metric, runtime
from trimwatt.framework.rows import as_request
from trimwatt.runtime.verify import verify
from trimwatt.scenario import Scenario
from trimwatt.technique._base import Technique, apply
from trimwatt.technique.classical import Boosted, Forest, Linear, Mlp, Neighbours, Tree
from trimwatt.technique.threshold import Threshold
from trimwatt.workload import Workload, take

pytestmark = pytest.mark.slow
_KINDS = [Linear(), Tree(), Forest(trees=10), Boosted(rounds=30), Neighbours(rows=1000), Mlp(hidden=(8,), epochs=5)]


@pytest.fixture(scope="module")
def adult(shared_data: Path) -> Workload:
    data, _ = inputs.load(shared_data / "adult.csv.gz", target="income")
    return Workload(data, metric=metric.get("f1", positive=1))


@pytest.fixture(scope="module")
def bike(shared_data: Path) -> Workload:
    data, task = inputs.load(shared_data / "bike_sharing_hour.csv.gz", target="cnt", task="regression")
    return Workload(data, task, metric.get("r2"), outputs="values")


def _every_request_agrees(work: Workload, tmp_path: Path) -> None:
    rows = take(work.rows.test.x, slice(0, 3000))
    for name in ("onnxruntime", "sklearn"):
        folder = tmp_path / name
        folder.mkdir()
        artifact = runtime.get(name).export(work, folder)
        for request in ("dict", "frame"):
            asked = replace(work, scenario=Scenario(request=request))  # type: ignore[arg-type]
            session = runtime.get(name).open(artifact, asked.scenario)
            assert verify(asked, session, rows) is None
            assert len(session.predict(as_request(take(rows, slice(0, 1)), request))) == 1


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.name)
def test_adult(kind: Technique, adult: Workload, tmp_path: Path) -> None:
    done = apply(Threshold(), apply(kind, adult))
    _every_request_agrees(done, tmp_path)
    plain, tuned = (_f1(replace(done, decide=d)) for d in (apply(kind, adult).decide, done.decide))
    assert tuned > plain - 0.005 and tuned > 0.6


def _f1(work: Workload) -> float:
    from trimwatt import framework

    rows = work.rows.test
    assert work.decide is not None
    return work.quality(rows.y, work.decide.codes(framework.get("sklearn").scores(work, rows.x)))


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.name)
def test_bike(kind: Technique, bike: Workload, tmp_path: Path) -> None:
    _every_request_agrees(apply(kind, bike), tmp_path)


def test_a_forest_of_many_rows_stays_small(adult: Workload, tmp_path: Path) -> None:
    artifact = runtime.get("onnxruntime").export(apply(Forest(), adult), tmp_path)
    assert artifact.size_bytes < 5e6


def test_what_no_training_row_holds_is_answered(adult: Workload, tmp_path: Path) -> None:
    work = apply(Linear(), adult)
    row = take(work.rows.test.x, slice(0, 1))
    assert isinstance(row, dict)
    odd = {
        name: np.array(["never seen"], object) if c.dtype == object else np.array([np.nan], np.float32)
        for name, c in row.items()
    }
    session = runtime.get("onnxruntime").open(runtime.get("onnxruntime").export(work, tmp_path), Scenario())
    assert np.isfinite(session.scores(odd)).all()
    assert verify(work, session, odd) is None
