"""`trimwatt measure` as it is run by a shell, and commands for it to measure."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

MEASURE = [sys.executable, "-m", "trimwatt", "measure"]
SPIN = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass"
# a process's own account of its CPU time, last thing before it ends: what a reading is held to
ACCOUNT = "\nprint(time.process_time(), flush=True)"
PYTHON = [sys.executable, "-S", "-c"]


def measure(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    given = [*MEASURE, *(str(argument) for argument in arguments)]
    return subprocess.run(given, **{"capture_output": True, "text": True, "timeout": 300, **options})


@contextlib.contextmanager
def running(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A measurement that goes on, as soon as its command has said that it is ready."""
    process = subprocess.Popen(
        [*MEASURE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
