"""Find every test that reads a clock or a load, and run each of them many times beside two busy loops.

    python tests/tools/clock_tests.py [--times 30] [--list FILE] [PATH ...]

First all tests run once, watched (tests/tools/watch): a test that reads a clock, sleeps, or asks for a load, itself, in
the package or in a process that it starts, is on the list. Then those on the list run `--times` times, each time in a
fresh process with two processes beside it that do nothing but compute. Ends at the first failure, with code 1.
--list FILE: keep the list there; where the file exists, it is taken as it is. PATH: only the tests there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUSY = "while True: pass"


def find(paths: Sequence[str], workers: int) -> list[str]:
    """Ids of the tests below `paths` that read a clock or a load."""
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder) / "readers"
        path = os.pathsep.join(filter(None, [str(ROOT / "tests/tools/watch"), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "CLOCK_READERS": str(noted), "PYTHONPATH": path}
        _pytest([*paths, "-n", str(workers), "--dist", "worksteal"], environment)
        return sorted(set(noted.read_text().splitlines())) if noted.exists() else []


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that compute for as long as the block lasts."""
    running = [subprocess.Popen([sys.executable, "-S", "-c", BUSY]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _pytest(arguments: Sequence[str], environment: dict[str, str] | None = None) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def repeat(tests: Sequence[str], times: int, loops: int) -> bool:
    """Whether `tests` pass `times` times in a row beside busy loops."""
    with tempfile.TemporaryDirectory() as folder, busy(loops):
        listed = Path(folder) / "tests"
        listed.write_text("\n".join(tests) + "\n", encoding="utf-8")
        for n in range(1, times + 1):
            started = time.monotonic()
            if _pytest(["-x", f"@{listed}"]) != 0:
                print(f"run {n} of {times} failed", flush=True)
                return False
            print(f"run {n} of {times} passed in {time.monotonic() - started:.0f} s", flush=True)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", metavar="PATH", default=["tests"])
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--busy", type=int, default=2, help="busy loops beside them")
    parser.add_argument("--workers", type=int, default=2, help="for finding them")
    parser.add_argument("--list", type=Path)
    asked = parser.parse_args()
    if asked.list and asked.list.exists():
        tests = asked.list.read_text(encoding="utf-8").splitlines()
    else:
        tests = find(asked.paths, asked.workers)
        if asked.list:
            asked.list.write_text("\n".join(tests) + "\n", encoding="utf-8")
    print(f"{len(tests)} tests read a clock or a load", flush=True)
    return int(bool(tests) and not repeat(tests, asked.times, asked.busy))


if __name__ == "__main__":
    sys.exit(main())
