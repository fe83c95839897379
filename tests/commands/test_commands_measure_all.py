"""trimwatt measure counts the children that nobody waits for, each way with the better ones switched off."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PYTHON = [sys.executable, "-S", "-c"]
IGNORED = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        while time.process_time() < 0.1: pass
        os._exit(0)
    try:
        os.wait()
    except ChildProcessError:
        pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counting every process needs Linux")
@pytest.mark.parametrize("way", ["cgroup", "task-clock", "polling"])
def test_children_whose_end_is_ignored_are_counted(way: str) -> None:
    """Each way of counting, the better ones switched off."""
    switched = (
        "import sys; from trimwatt.host import counting; counting.WAYS = (sys.argv.pop(1),); "
        "from trimwatt.commands import main; sys.argv[0] = 'trimwatt'; main()"
    )
    used = {}
    for end in ("IGN", "DFL"):
        words = [*PYTHON, IGNORED.replace("SIG_IGN", f"SIG_{end}")]
        done = subprocess.run(
            [sys.executable, "-c", switched, way, "measure", "--json", "--", *words],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        used[end] = json.loads(done.stdout)
    missed = any("not all processes were counted" in line for line in used["IGN"]["warnings"])
    # seen by getrusage alone it would be a tenth
    assert used["IGN"]["cpu_s"] > (0.5 if missed else 0.8) * used["DFL"]["cpu_s"]
    assert used["IGN"]["cpu_s"] < 1.4 * used["DFL"]["cpu_s"]
    assert missed <= (way == "polling")
    assert not any("not all processes" in line for line in used["DFL"]["warnings"])
