"""Notes which test is running whenever the package or a test reads a clock or the machine's load.

Python loads this at its start where this folder is on PYTHONPATH, in the processes that a test starts too. Reads are
seen at the functions of `time`, `os` and `resource`, and where the system's files are opened. See ../clock_tests.py.
"""

from __future__ import annotations

import functools
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

CLOCKS = (
    "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "process_time_ns", "thread_time",
    "thread_time_ns", "time", "time_ns", "clock_gettime", "sleep",
)  # fmt: skip
FILES = ("/proc/stat", "/proc/loadavg", "/proc/pressure/")
# what they read bounds a wait of minutes, or is shown and never judged
HARMLESS = ("trimwatt._process", "trimwatt.report.live")


def _watch(where: Any, name: str, note: Callable[[], None]) -> None:
    read = getattr(where, name)

    @functools.wraps(read)
    def noting(*given: Any) -> Any:
        module = str(sys._getframe(1).f_globals.get("__name__", ""))
        file = str(sys._getframe(1).f_globals.get("__file__") or "")
        ours = module.split(".")[0] in ("trimwatt", "__main__") or f"{os.sep}tests{os.sep}" in file
        if ours and module not in HARMLESS:
            note()
        return read(*given)

    setattr(where, name, noting)


def _start(path: str) -> None:
    seen: set[str] = set()

    def note() -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
        if test and test not in seen:
            seen.add(test)
            # one short write to the end of a file is whole, whoever else writes
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(fd, f"{test}\n".encode())
            os.close(fd)

    def opened(event: str, given: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(given[0], str) and given[0].startswith(FILES):
            note()

    for name in CLOCKS:
        _watch(time, name, note)
    _watch(os, "getloadavg", note)
    _watch(os, "times", note)
    _watch(resource, "getrusage", note)
    sys.addaudithook(opened)


if "CLOCK_READERS" in os.environ:
    _start(os.environ["CLOCK_READERS"])
