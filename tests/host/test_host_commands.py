"""All that a command starts is counted, each way with the better ones switched off, and nothing of it stays."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from trimwatt.compare._base import Block
from trimwatt.compare.command import CommandArm
from trimwatt.errors import InputError
from trimwatt.host import counting, group, launcher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counting every process needs Linux")
WORK = str(Path(__file__).with_name("hidden_work.py"))
WAYS = {"cgroup": "cgroup", "task-clock": "task clock", "polling": "polling"}


def command(mode: str) -> list[str]:
    return [sys.executable, "-S", "-E", WORK, mode]


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One way of counting, the others switched off; skipped where this system does not offer it."""
    monkeypatch.setattr(counting, "WAYS", (request.param,))
    with CommandArm(["true"]) as arm:
        if arm.run(1).counted != WAYS[request.param]:
            pytest.skip(f"no {request.param} here")
    return str(request.param)


@pytest.fixture
def waited(way: str) -> Iterator[float]:
    """CPU seconds of the work in a child that is waited for: the truth."""
    with CommandArm(command("waited"), parity=False) as arm:
        yield arm.run(2).cpu_s


def run(mode: str) -> Block:
    with CommandArm(command(mode), parity=False) as arm:
        return arm.run(2)


@pytest.mark.parametrize("mode", ["double", "unwaited", "left"])
def test_work_that_nobody_waits_for_is_counted(waited: float, mode: str) -> None:
    block = run(mode)
    # uncounted it would be a tenth
    assert 0.75 * waited < block.cpu_s < 1.6 * waited
    assert block.uncounted is None


@pytest.mark.parametrize("mode", ["ignored", "short"])
def test_children_whose_end_is_ignored_are_counted_or_said(way: str, waited: float, mode: str) -> None:
    block = run(mode)
    if way == "polling":
        assert block.uncounted is not None and "more than was seen" in block.uncounted
        assert block.cpu_s < 1.6 * waited
    else:
        assert 0.75 * waited < block.cpu_s < 1.6 * waited
        assert block.uncounted is None


def test_what_a_command_leaves_running_is_named_and_ended(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "LINGER_S", 0.2)
    before = set(psutil.pids())
    with CommandArm(command("leaves-server")) as arm:
        first, second = arm.run(1), arm.run(1)
        own = {child.pid for child in psutil.Process().children(recursive=True)}
        servers = [p for p in set(psutil.pids()) - before - own if "server" in _words(p)]
    for block in (first, second):
        assert block.uncounted is not None
        assert "it left" in block.uncounted and "running, ended 0.2 s after the command itself" in block.uncounted
    assert servers == []


def _words(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline()[-2:]) if WORK in psutil.Process(pid).cmdline() else ""
    except psutil.Error:
        return ""


def test_no_group_and_no_process_stays(way: str) -> None:
    before = set(psutil.Process().children(recursive=True))
    run("double")
    assert set(psutil.Process().children(recursive=True)) <= before
    if way == "cgroup":
        # those of others that run now are theirs
        gone = [f for f in group.own().glob("trimwatt-*") if not Path("/proc", f.name.split("-")[1]).exists()]
        assert gone == []


def test_a_command_finds_everything_as_it_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIVEN", "so")
    shown = (
        "import os, signal, sys; print(os.getcwd(), os.environ['GIVEN'], os.environ.get('OMP_WAIT_POLICY'), "
        "signal.getsignal(signal.SIGINT) == signal.default_int_handler, signal.getsignal(signal.SIGTERM), "
        "signal.pthread_sigmask(signal.SIG_BLOCK, []), sys.stdin.read())"
    )
    with CommandArm([sys.executable, "-S", "-c", shown]) as arm:
        printed = arm.printed()
    policy = os.environ.get("OMP_WAIT_POLICY")
    assert printed == f"{tmp_path} so {policy} True {0} set() \n"


def test_a_launcher_that_was_ended_is_started_again_after_an_error() -> None:
    with CommandArm([sys.executable, "-S", "-c", "raise SystemExit(3)"]) as arm:
        for _ in range(2):
            with pytest.raises(InputError, match="ended with code 3"):
                arm.run(1)
    # other tests of this worker may have left pools of joblib's
    before = set(psutil.Process().children(recursive=True))
    arm = CommandArm(["true"])
    arm.run(1)
    children = set(psutil.Process().children(recursive=True)) - before
    assert children
    del arm
    assert not any(child.is_running() for child in children)
