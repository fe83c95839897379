"""Notes which test or fixture is running, and who reads, whenever a clock or a load is read that a test may judge.

Python loads this at its start where this folder is on PYTHONPATH, in the processes that a test starts too. Reads are
seen at the functions of `time`, `os` and `resource`, and where the system's files are opened. What counts is said in
../clock_tests.py.
"""

from __future__ import annotations

import functools
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

CLOCKS = (
    "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "process_time_ns", "thread_time",
    "thread_time_ns", "time", "time_ns", "clock_gettime",
)  # fmt: skip
FILES = ("/proc/stat", "/proc/loadavg", "/proc/pressure/")
# packages whose result is a time, CPU time, load or energy, measured
MEASURING = ("compare", "gate", "host", "integrations", "meter", "profile", "testing")
# what these books or shows; a study judges only what its comparisons measure
SHOWN = ("study", "report")


def _packages(frame: FrameType | None) -> Iterator[str]:
    """Packages of trimwatt, from the frame outward; "tests" for a test's own code, in a file or given to `-c`."""
    while frame is not None:
        module, file = str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename
        if f"{os.sep}tests{os.sep}" in file or (module, file) == ("__main__", "<string>"):
            yield "tests"
        elif module.startswith("trimwatt."):
            yield module.split(".")[1]
        else:
            yield ""
        frame = frame.f_back


def reader(frame: FrameType | None) -> str | None:
    """Who reads the clock in `frame` where that counts: a test's own code, or a package that measures for it."""
    package, *callers = _packages(frame)
    shown = package != "compare" and not set(SHOWN).isdisjoint(callers)
    return package if package == "tests" or (package in MEASURING and not shown) else None


def _note(path: str, seen: set[tuple[str, str]], package: str) -> None:
    running = os.environ.get("CLOCK_RUNNING")
    if running and (running, package) not in seen:
        seen.add((running, package))
        # one short write to the end of a file is whole, whoever else writes
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(fd, f"{running}\t{package}\n".encode())
        os.close(fd)


def _watch(where: Any, name: str, note: Callable[[FrameType], None]) -> None:
    read = getattr(where, name)

    @functools.wraps(read)
    def noting(*given: Any) -> Any:
        note(sys._getframe(1))
        return read(*given)

    setattr(where, name, noting)


def _start(path: str) -> None:
    seen: set[tuple[str, str]] = set()

    def note(frame: FrameType) -> None:
        package = reader(frame)
        if package:
            _note(path, seen, package)

    def opened(event: str, given: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(given[0], str) and given[0].startswith(FILES):
            frame: FrameType | None = sys._getframe(1)
            # Path.read_text stands between
            while frame is not None and str(frame.f_globals.get("__name__")) == "pathlib":
                frame = frame.f_back
            if frame is not None:
                note(frame)

    for name in CLOCKS:
        _watch(time, name, note)
    _watch(os, "getloadavg", note)
    _watch(os, "times", note)
    _watch(resource, "getrusage", note)
    sys.addaudithook(opened)


if "CLOCK_READERS" in os.environ:
    _start(os.environ["CLOCK_READERS"])
