"""kill -9 in the middle of writing: what was reported as kept is there, and nothing by halves."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from trimwatt.store import open_store

WRITER = """
import sys
from pathlib import Path
from trimwatt.store import open_store

store = open_store(Path(sys.argv[1]))
done = len(store.trials())
for number in range(done, 100_000):
    key = f"{number:06}"
    entries = [{"trial": key, "joules": part, "padding": "x" * 500} for part in range(20)]
    store.add_trial({"key": key, "padding": "y" * 2000}, entries)
    print(key, flush=True)
"""


def _write_and_kill(folder: Path, after: int) -> list[str]:
    """The keys that a writer reported before it was killed, at some moment after its `after`-th."""
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        first = [writer.stdout.readline() for _ in range(after)]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL
    return [line.strip() for line in (*first, *rest) if line.endswith("\n")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_what_was_reported_is_there_after_every_kill(tmp_path: Path) -> None:
    reported: list[str] = []
    for after in (1, 7, 30):
        reported += _write_and_kill(tmp_path, after)
        store = open_store(tmp_path)
        keys = [trial["key"] for trial in store.trials()]
        booked = [(entry["trial"], entry["joules"]) for entry in store.ledger()]
        store.close()
        assert set(reported) <= set(keys)
        assert keys == [f"{number:06}" for number in range(len(keys))]
        assert booked == [(key, part) for key in keys for part in range(20)]
    assert len(reported) >= 38
    connection = sqlite3.connect(tmp_path / "study.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
