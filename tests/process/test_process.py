"""Children answer, fail with a reason, and never outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from trimwatt._process import Child, ForkServer
from trimwatt.errors import TrialFailed

HERE = str(Path(__file__).parent)
ECHO = "handlers_for_test:echo"


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


@pytest.fixture(params=["fresh", "forked"])
def server(request: pytest.FixtureRequest) -> Iterator[ForkServer | None]:
    if request.param == "fresh":
        yield None
        return
    forks = ForkServer(["json", "no_such_module_anywhere"])
    yield forks
    forks.close()


def test_answers_and_keeps_answering_after_an_error(server: ForkServer | None) -> None:
    with Child(ECHO, ("a",), server=server) as child:
        assert child.call({"x": 1}, 10) == ("a", {"x": 1})
        with pytest.raises(TrialFailed) as failed:
            child.call("raise", 10)
        assert failed.value.args == ("ValueError: what came is wrong",)
        assert child.call("pid", 10) == child.pid != os.getpid()


def test_a_crash_is_a_reason(server: ForkServer | None) -> None:
    with Child(ECHO, ("a",), server=server) as child, pytest.raises(TrialFailed, match="SIGSEGV"):
        child.call("die", 10)
    with Child(ECHO, ("a",), server=server) as child, pytest.raises(TrialFailed, match="code 3"):
        child.call("exit", 10)


def test_limits_of_time_and_memory(server: ForkServer | None) -> None:
    child = Child(ECHO, ("a",), server=server)
    with pytest.raises(TrialFailed, match=r"more than 200 ms"):
        child.call("sleep", 0.2)
    assert not psutil.pid_exists(child.pid) or psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    child = Child(ECHO, ("a",), server=server, memory_limit_bytes=150e6)
    with pytest.raises(TrialFailed, match="150 MB of memory"):
        child.call("grow", 20)


def test_a_handler_that_cannot_be_built_says_why(server: ForkServer | None) -> None:
    with pytest.raises(TrialFailed, match="RuntimeError: cannot be built"):
        Child("handlers_for_test:refuse", server=server)


def test_closing_leaves_no_process(server: ForkServer | None) -> None:
    child = Child(ECHO, ("a",), server=server)
    child.close()
    child.close()
    assert not psutil.pid_exists(child.pid)


SCRIPT = """
import sys, time
sys.path.insert(0, {here!r})
from trimwatt._process import Child, ForkServer
server = ForkServer(["json"])
args = ("handlers_for_test:stay", ({marker!r},))
children = [Child(*args), Child(*args, server=server)]
with open({marker!r}, "a") as file:
    file.write(f"{{server._process.pid}}\\n")
print("ready", flush=True)
children[1].call(60, 60)
"""


def test_killing_the_parent_ends_every_child(tmp_path: Path) -> None:
    marker = tmp_path / "pids"
    script = SCRIPT.format(here=HERE, marker=str(marker))
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
    pids = [int(line) for line in marker.read_text().split()]
    assert len(pids) == 3 and all(map(psutil.pid_exists, pids))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, pids))


def test_workers_share_what_was_imported_and_keep_what_they_freed() -> None:
    """Else a fork that collects garbage copies all that was imported, and training takes its memory anew each step."""
    forks = ForkServer(["numpy", "sklearn.ensemble"])
    try:
        with Child("handlers_for_test:faults", server=forks) as child:
            assert child.call("collect", 60) < 1000
            child.call("train", 60)
            assert child.call("train", 60) < 1000
    finally:
        forks.close()
