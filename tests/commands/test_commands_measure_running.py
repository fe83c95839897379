"""trimwatt measure --pid: what a process that runs already takes from now on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from measuring import ACCOUNT, PYTHON, SPIN, measure, running

from trimwatt.meter import command
from trimwatt.meter.command import follow

pytestmark = pytest.mark.usefixtures("heeded")


def test_a_reading_of_a_running_process(monkeypatch: pytest.MonkeyPatch) -> None:
    code = SPIN.format(0.3) + ACCOUNT + "\ninput()\n" + SPIN.format(0.5) + ACCOUNT
    with subprocess.Popen([*PYTHON, code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdin
        before_s, looks = float(other.stdout.readline()), command._looks

        def released(pid: int, end: float | None) -> Iterator[None]:
            """It works on once the first look has been taken."""
            assert other.stdin
            other.stdin.write("\n")
            other.stdin.flush()
            yield from looks(pid, end)

        monkeypatch.setattr(command, "_looks", released)
        reading = follow(other.pid)
        own_s = float(other.stdout.readline()) - before_s
    # what it did before we looked is not counted
    assert 0.3 < reading.cpu_s <= own_s + 0.04
    assert reading.process is not None and reading.peak_rss_bytes is not None
    assert reading.peak_rss_bytes > 1_000_000
    assert any("ended during this window" in line for line in reading.warnings)


def test_a_reading_of_a_running_process_ends_by_time_and_by_ctrl_c() -> None:
    with subprocess.Popen(["sleep", "30"]) as other:  # noqa: S607
        try:
            record = json.loads(measure("--pid", other.pid, "--json", "--duration", "300ms").stdout)
            # the process itself would go on for half a minute
            assert 0.3 <= record["duration_s"] < 30
            with running("--pid", str(other.pid)) as process:
                assert process.stderr and "until it ends" in process.stderr.readline()
                while not _looks_at_another(process.pid) and process.poll() is None:
                    time.sleep(0.02)
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=300)
            assert process.returncode == 0
            assert err.startswith("process ")
        finally:
            other.kill()


def _looks_at_another(pid: int) -> bool:
    """Whether a process has begun to follow another one, of which it then holds a descriptor."""
    with contextlib.suppress(OSError):
        return any("pidfd" in os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_the_looks_at_a_process_fill_the_time_asked_for_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5.0]

    def wait(*given: Any) -> None:
        now[0] += given[-1]

    monkeypatch.setattr(command, "select", SimpleNamespace(select=wait))
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=wait))
    assert len(list(command._looks(os.getpid(), 5.3))) > 3
    assert now[0] == pytest.approx(5.3)
