"""Real sessions in processes of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from trimwatt import runtime
from trimwatt.compare import host
from trimwatt.compare.arms import CallableArm, Limits, SessionArm
from trimwatt.compare.comparer import screen
from trimwatt.compare.plan import Plan
from trimwatt.errors import InputError, TrialFailed
from trimwatt.meter import usage
from trimwatt.runtime._base import Artifact
from trimwatt.scenario import Scenario
from trimwatt.testing import samples
from trimwatt.testing.arm import ArmContract
from trimwatt.workload import Workload, take


def _fitted(workload: Workload) -> Workload:
    from sklearn.linear_model import LogisticRegression

    train = workload.rows.train
    model = LogisticRegression(max_iter=200).fit(np.asarray(train.x) / 16, train.y)
    return replace(workload, model=model, form="sklearn", outputs="probabilities")


@pytest.fixture(scope="module")
def digits() -> Workload:
    return _fitted(samples.digits())


@pytest.fixture(scope="module")
def artifact(digits: Workload, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return runtime.get("sklearn").export(digits, tmp_path_factory.mktemp("linear"))


@pytest.fixture(scope="module")
def arm(artifact: Artifact, digits: Workload) -> Iterator[SessionArm]:
    with SessionArm(artifact, Scenario(batch_size=3), take(digits.rows.val.x, slice(0, 20)), name="linear") as opened:
        yield opened


def test_blocks_are_counted_by_the_childs_own_clock(arm: SessionArm) -> None:
    few, many = arm.run(20), arm.run(400)
    assert (few.requests, many.requests) == (20, 400)
    assert 0 < few.cpu_s < many.cpu_s
    assert many.cpu_s <= many.wall_s * 1.2
    assert few.load is not None


def test_it_answers_as_the_session_does(arm: SessionArm, artifact: Artifact, digits: Workload) -> None:
    here = runtime.get("sklearn").open(artifact, Scenario(batch_size=3))
    rows = digits.rows.train.x
    assert (arm.predict(rows) == here.predict(rows)).all()
    np.testing.assert_allclose(arm.scores(rows), here.scores(rows), atol=1e-6)
    # more rows than fit into one call of the session
    tiled = np.concatenate([np.asarray(rows)] * 4)
    assert arm.predict(tiled).shape == (len(tiled),)


def test_latency_and_memory(arm: SessionArm) -> None:
    found = arm.latency(50)
    assert 0 < found["p50"] <= found["p95"] < 1
    peak = arm.peak_rss_bytes()
    assert peak is not None
    assert 2e7 < peak < 2e9


def test_its_threads_go_where_they_are_sent(arm: SessionArm) -> None:
    allowed = os.sched_getaffinity(0)
    core = frozenset({max(allowed)})
    assert arm.pin(core)
    tasks = [int(t) for t in os.listdir(f"/proc/{arm.pid}/task")]
    assert {frozenset(os.sched_getaffinity(t)) for t in tasks} == {core}
    assert os.sched_getaffinity(0) == allowed
    assert arm.pin(frozenset(allowed))


def test_its_cpu_time_is_in_the_process_tree(arm: SessionArm) -> None:
    before = usage.tree_cpu_s()
    block = arm.run(500)
    assert usage.tree_cpu_s() - before >= block.cpu_s


def test_a_costlier_model_is_seen_as_such(arm: SessionArm, digits: Workload, tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    train = digits.rows.train
    forest = RandomForestClassifier(60, random_state=0).fit(train.x, train.y)
    made = runtime.get("sklearn").export(replace(digits, model=forest), tmp_path)
    with SessionArm(made, Scenario(batch_size=3), digits.rows.val.x, name="forest") as costly:
        found = screen(arm, costly, np.random.default_rng(0), Plan(block_s=0.01))
    assert found.verdict == "more"
    assert found.ratio > 3
    assert found.pinned


def test_a_failure_has_its_reason_and_leaves_no_process(artifact: Artifact, digits: Workload) -> None:
    rows = digits.rows.val.x
    with pytest.raises(TrialFailed, match="needs named columns"):
        SessionArm(artifact, Scenario(request="dict"), rows)
    with pytest.raises(TrialFailed, match="unknown"):
        SessionArm(replace(artifact, runtime="abacus"), Scenario(), rows)
    arm = SessionArm(artifact, Scenario(), rows, Limits(call_s=0.2))
    with pytest.raises(TrialFailed, match="took more than"):
        arm.run(10_000_000)
    assert not Path(f"/proc/{arm.pid}").exists()


def test_rows_it_cannot_read_fail_the_call_only(arm: SessionArm) -> None:
    with pytest.raises(TrialFailed):
        arm.predict(np.zeros((2, 3)))
    assert arm.run(1).requests == 1


def test_requests_are_cut_and_go_round() -> None:
    rows = np.arange(10.0).reshape(5, 2)
    requests = host.cut(rows, Scenario(batch_size=2))
    assert [r.tolist() for r in requests] == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    (large,) = host.cut(rows, Scenario(batch_size=7))
    assert large[:, 0].tolist() == [0, 2, 4, 6, 8, 0, 2]
    requests[0][0, 0] = 99
    assert rows[0, 0] == 0
    with pytest.raises(InputError, match="no rows"):
        host.cut(rows[:0], Scenario())


def test_requests_have_the_scenarios_form() -> None:
    rows = {"a": np.arange(4, dtype=np.float32), "b": np.array(["x", "y", "", "z"], dtype=object)}
    (first, *_) = host.cut(rows, Scenario(request="dict"))
    assert isinstance(first, dict)
    assert first["b"].tolist() == ["x"]
    (frame, *_) = host.cut(rows, Scenario(batch_size=2, request="frame"))
    assert list(frame.columns) == ["a", "b"]
    assert frame.shape == (2, 2)


def test_a_block_goes_on_where_the_last_ended() -> None:
    asked: list[int] = []
    endless = cycle([1, 2, 3])
    host.block(asked.append, endless, 2)
    assert host.block(asked.append, endless, 5).requests == 5
    assert asked == [1, 2, 3, 1, 2, 3, 1]


def test_a_callable_is_an_arm() -> None:
    calls: list[int] = []
    arm = CallableArm(lambda: calls.append(1), "count")
    assert arm.run(7).requests == 7
    assert len(calls) == 7
    assert arm.name == "count"


class TestSessionArm(ArmContract):
    @pytest.fixture
    def arm(self, arm: SessionArm) -> SessionArm:
        return arm


class TestCallableArm(ArmContract):
    @pytest.fixture
    def arm(self) -> CallableArm:
        return CallableArm(lambda: sum(range(2000)), "sum")
