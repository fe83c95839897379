"""Polling keeps the last CPU time of every process it saw, and says where nobody took the account of one."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from trimwatt.host import processes
from trimwatt.host.polling import Polled

HERE = 100


class Proc:
    """A process file system of our own making, in ticks of a hundredth of a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parents: dict[int, int] = {}

    def put(
        self, pid: int, parent: int, used: int = 0, waited: int = 0, started: int = 1, ignores: bool = False
    ) -> None:
        task = self.folder / str(pid) / "task" / str(pid)
        task.mkdir(parents=True, exist_ok=True)
        fields = ["S", parent, 0, 0, 0, 0, 0, 0, 0, 0, 0, used, 0, waited, 0, 0, 0, 0, 0, started]
        (self.folder / str(pid) / "stat").write_text(f"{pid} (a (b) c) {' '.join(map(str, fields))}")
        mask = 1 << (signal.SIGCHLD - 1) if ignores else 0
        (self.folder / str(pid) / "status").write_text(f"SigBlk:\t0\nSigIgn:\t{mask:016x}\nSigCgt:\t0\n")
        (self.folder / str(pid) / "comm").write_text(f"name{pid}\n")
        self.parents[pid] = parent
        self._link()

    def drop(self, pid: int) -> None:
        (self.folder / str(pid) / "stat").unlink()
        del self.parents[pid]
        self._link()

    def _link(self) -> None:
        for pid in self.parents:
            below = [str(child) for child, parent in self.parents.items() if parent == pid]
            (self.folder / str(pid) / "task" / str(pid) / "children").write_text(" ".join(below))


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    monkeypatch.setattr(processes, "PROC", tmp_path)
    monkeypatch.setattr(processes, "cpu_s", lambda pid: None)
    monkeypatch.setattr(processes, "_TICKS_PER_S", 100)
    monkeypatch.setattr("time.process_time", lambda: 0.0)
    made = Proc(tmp_path)
    made.put(HERE, 1)
    return made


@pytest.fixture
def polled(proc: Proc) -> Polled:
    return Polled(HERE, 0.01)


def test_a_child_that_its_parent_waited_for_counts_once(proc: Proc, polled: Polled) -> None:
    proc.put(201, HERE, used=10)
    proc.put(202, 201, used=100)
    assert polled.total_s() == pytest.approx(1.1)
    proc.drop(202)
    proc.put(201, HERE, used=12, waited=105)
    assert polled.total_s() == pytest.approx(1.17)
    polled.reaped(201, 1.18)
    proc.drop(201)
    assert polled.total_s() == pytest.approx(1.18)
    assert polled.missing() == ""


def test_a_child_whose_account_nobody_took_counts_as_it_was_last_seen_and_is_named(proc: Proc, polled: Polled) -> None:
    proc.put(201, HERE, used=10)
    proc.put(202, 201, used=100)
    polled.look()
    proc.drop(202)
    assert polled.total_s() == pytest.approx(1.1)
    assert "name202 ended and nobody took its account" in polled.missing()
    assert polled.missing() == ""
    polled.reaped(201, 0.1)
    proc.drop(201)
    assert polled.total_s() == pytest.approx(1.1)


def test_who_ignores_the_end_of_its_children_is_named(proc: Proc, polled: Polled) -> None:
    proc.put(201, HERE, ignores=True)
    polled.look()
    assert polled.missing() == ""
    proc.put(202, 201)
    polled.look()
    assert "name201 ignores the end of its children" in polled.missing()


def test_an_orphan_moves_to_who_adopts_it_and_counts_once(proc: Proc, polled: Polled) -> None:
    proc.put(201, HERE, used=1)
    proc.put(202, 201, used=50)
    polled.look()
    proc.drop(201)
    polled.reaped(201, 0.01)
    proc.put(202, HERE, used=80)
    assert polled.total_s() == pytest.approx(0.81)
    polled.reaped(202, 0.9)
    proc.drop(202)
    assert polled.total_s() == pytest.approx(0.91)
    assert polled.missing() == ""


def test_one_given_to_another_parent_while_we_look_is_still_there(proc: Proc, polled: Polled) -> None:
    proc.put(201, HERE, used=1)
    proc.put(202, 201, used=50)
    polled.look()
    # neither its old parent nor its new one shows it now
    proc.parents[202] = 1
    proc._link()
    polled.look()
    proc.put(202, HERE, used=60)
    assert polled.total_s() == pytest.approx(0.61)


def test_a_number_given_again_is_another_process(proc: Proc, polled: Polled) -> None:
    proc.put(201, HERE, used=10)
    proc.put(202, 201, used=100)
    polled.look()
    proc.put(201, HERE, used=10, waited=100)
    proc.put(202, 201, used=30, started=2)
    assert polled.total_s() == pytest.approx(0.1 + 1.3)
    assert polled.missing() == ""


def test_a_child_that_was_never_seen_counts_by_its_account(polled: Polled) -> None:
    polled.reaped(300, 0.25)
    assert polled.total_s() == pytest.approx(0.25)
