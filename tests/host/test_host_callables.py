"""All that a callable starts is counted in the process of ours that it is judged in, and ends with that."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

import trimwatt as tw
from trimwatt.compare import forked
from trimwatt.compare.arms import FunctionArm
from trimwatt.compare.result import Comparison
from trimwatt.host import counting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counting every process needs Linux")
WAYS = {"cgroup": "cgroup", "task-clock": "task clock", "polling": "polling"}
STEPS = 300_000
_KEPT: dict[str, Any] = {}


def burn(steps: int = STEPS) -> int:
    x = 1
    for i in range(steps):
        x = (x * 31 + i) & 0xFFFF
    return x


def alone() -> int:
    return burn()


def waited(steps: int = STEPS) -> int:
    pid = os.fork()
    if pid == 0:
        burn(steps)
        os._exit(0)
    # any child will do: nobody else has taken it, and no stranger is among them
    assert os.waitpid(-1, 0)[0] == pid
    with pytest.raises(ChildProcessError):
        os.wait()
    return burn(0)


def pool_that_lives_on() -> int:
    if "pool" not in _KEPT:
        _KEPT["pool"] = multiprocessing.get_context("fork").Pool(1)
    return int(_KEPT["pool"].map(burn, [STEPS])[0])


def executor_that_lives_on() -> int:
    if "executor" not in _KEPT:
        _KEPT["executor"] = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
    return int(_KEPT["executor"].submit(burn, STEPS).result())


def unwaited(steps: int = STEPS) -> int:
    """A process of its own session that goes on when the call is over."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            burn(steps)
        os._exit(0)
    os.wait()
    return 1


def ignored() -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if os.fork() == 0:
        burn()
        os._exit(0)
    with pytest.raises(ChildProcessError):
        os.wait()
    return 1


def sleeper() -> int:
    subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    return burn(STEPS // 10)


def restless() -> int:
    if "restless" not in _KEPT:
        code = "while True: pass"
        _KEPT["restless"] = subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True)
    return 1


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One way of counting, the others switched off; skipped where this system does not offer it."""
    monkeypatch.setattr(counting, "WAYS", (request.param,))
    with FunctionArm(waited) as arm:
        if arm.run(1).counted != WAYS[request.param]:
            pytest.skip(f"no {request.param} here")
    return str(request.param)


def used_s(function: Any) -> float:
    with FunctionArm(function) as arm:
        arm.run(1)
        return sum(arm.run(1).cpu_s for _ in range(3))


@pytest.mark.parametrize("function", [waited, pool_that_lives_on, executor_that_lives_on, unwaited])
def test_work_of_other_processes_is_counted(way: str, function: Any) -> None:
    # uncounted it would be next to nothing
    assert 0.75 < used_s(function) / used_s(alone) < 1.6


def test_children_whose_end_is_ignored_are_counted_or_said(way: str) -> None:
    with FunctionArm(ignored) as arm:
        arm.run(1)
        blocks = [arm.run(1) for _ in range(3)]
    counted, missing = sum(b.cpu_s for b in blocks), [b.uncounted for b in blocks]
    if way == "polling":
        assert all(text and "more than was seen" in text for text in missing)
        assert counted < 1.6 * used_s(alone)
    else:
        assert 0.75 < counted / used_s(alone) < 1.6 and missing == [None] * 3


def test_nothing_that_an_arm_started_outlives_it(way: str) -> None:
    for function in (pool_that_lives_on, sleeper):
        before = set(psutil.pids())
        with FunctionArm(function) as arm:
            assert arm.run(2).uncounted is None
            keeper = psutil.Process(psutil.Process(arm.pid).ppid())
            started = [child.pid for child in keeper.children(recursive=True)]
            assert len(started) > 1 and not set(started) & before
        assert not any(psutil.pid_exists(pid) for pid in started)


def test_what_never_comes_to_rest_is_named(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "SETTLE_S", 0.3)
    with FunctionArm(restless) as arm:
        uncounted = arm.run(1).uncounted
    assert uncounted is not None and "still worked 0.3 s after the call that started it" in uncounted


def test_a_callable_alone_in_its_process_has_nothing_beside_its_own_clock(way: str) -> None:
    with FunctionArm(alone) as arm:
        block = arm.run(3)
    assert (block.counted, block.uncounted) == (None, None)


SCRIPT = """
import sys, time
sys.path.insert(0, {here!r})
import test_host_callables as these
import trimwatt as tw
from trimwatt.compare import forked
from trimwatt.compare.arms import FunctionArm
from trimwatt.compare.result import Comparison
arm = FunctionArm(these.pool_that_lives_on)
arm.run(1)
print(arm.pid, flush=True)
time.sleep(60)
"""


def test_killing_the_users_process_ends_all_that_the_arm_started(way: str) -> None:
    script = SCRIPT.format(here=str(Path(__file__).parent))
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    serving = psutil.Process(int(parent.stdout.readline()))
    everything = [serving, psutil.Process(serving.ppid()), *serving.children(recursive=True)]
    assert len(everything) >= 3
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while any(one.is_running() for one in everything) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(one.is_running() for one in everything)


def test_a_callable_that_cannot_be_handed_over_is_judged_in_a_fork_where_it_starts_processes() -> None:
    # a fork of the process that runs all tests copies much, and one arm makes two: the work must be most of it
    lock, steps = threading.Lock(), 5 * STEPS

    def hidden() -> int:
        with lock:
            return unwaited(steps)

    def open_() -> int:
        with lock:
            return waited(steps) * 0 + 1

    before = set(psutil.pids())
    found = tw.compare(hidden, open_, budget=5, self_test=False)
    assert isinstance(found, Comparison)
    assert "all ran in forks of this one, since they start processes" in found.warnings[0]
    assert 0.6 < found.ratio < 1.6 and found.uncounted == ()
    left = [p for p in set(psutil.pids()) - before if psutil.pid_exists(p) and psutil.Process(p).ppid() == os.getpid()]
    assert left == []


def test_workers_that_were_there_before_are_counted_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "PROBE_S", 1.0)
    with multiprocessing.get_context("fork").Pool(1) as pool:

        def shared() -> int:
            return int(pool.map(burn, [STEPS])[0])

        found = tw.compare(shared, alone, budget=5, self_test=False)
        assert isinstance(found, Comparison)
        assert "all ran in this one" in found.warnings[0]
        # its own clock alone would be next to nothing
        assert 0.6 < found.ratio < 1.6
        # and its workers are still there
        assert shared() == alone()
