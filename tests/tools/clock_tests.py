"""Find every test that judges a clock, a CPU time or a load, and run each of them many times beside two busy loops.

    python tests/tools/clock_tests.py [--times 30] [--list FILE] [--record FILE] [PATH ...]

On the list is each test whose own code, in tests/ or in a script that it starts, reads a clock, a CPU time or the load,
and each for which a package whose result is such a measurement reads one: compare, gate, host, integrations, meter,
profile, testing, also in a shared fixture or in a process started. Not on it is a test that only sleeps, or for which
other packages read a clock, to wait with a limit or stamp a time, or a study to book its own cost or keep its budget,
which no test lets run out by the clock: no assertion rests on that.

All tests run once to find them, watched (tests/tools/watch). Then each runs until it has passed `--times` times in a
row, a fresh process per round, beside processes that do nothing but compute; ends with code 1 after a round with a
failure. --list FILE: keep the list there; where the file exists, it is taken as it is. --record FILE: keep how often
each passed; where the file exists, go on from there, so that the whole may be run in pieces.
PATH: only the tests there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import _record

ROOT = Path(__file__).parents[2]
# until the process that started it is gone, however that ended
BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"


def find(paths: Sequence[str], workers: int) -> list[str]:
    """Ids of the tests below `paths` that judge a clock or a load."""
    with tempfile.TemporaryDirectory() as folder:
        noted, watch = Path(folder) / "readers", str(ROOT / "tests/tools/watch")
        path = os.pathsep.join(filter(None, [watch, os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "CLOCK_READERS": str(noted), "PYTHONPATH": path}
        shared = ["-p", "clock_fixtures", "-n", str(workers), "--dist", "loadfile"]
        subprocess.run(_pytest([*paths, *shared]), cwd=ROOT, env=environment)
        return readers(noted)


def readers(noted: Path) -> list[str]:
    """The tests that were noted as reading, and those that use a shared fixture that was."""
    found = {line.partition("\t")[0] for line in _lines(noted)}
    uses = (line.split("\t") for line in _lines(noted.with_name(f"{noted.name}.uses")))
    users = {test for test, fixture in uses if fixture in found}
    return sorted(users | {name for name in found if not name.startswith("fixture ")})


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that compute for as long as the block lasts."""
    running = [subprocess.Popen([sys.executable, "-S", "-c", BUSY, str(os.getpid())]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _pytest(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


class Record:
    """How often each test has passed in a row, kept in a file where one is named."""

    def __init__(self, file: Path | None, tests: Sequence[str]) -> None:
        self.file = file
        before = json.loads(file.read_text(encoding="utf-8"))["result"] if file and file.exists() else {}
        self.sittings: list[dict[str, Any]] = before.get("sittings", [])
        self.passed = Counter(dict.fromkeys(tests, 0) | before.get("passed_in_a_row", {}))

    def add(self, tests: Sequence[str], failed: set[str]) -> None:
        """After a round of `tests`."""
        for test in tests:
            self.passed[test] = 0 if test in failed else self.passed[test] + 1

    def write(self, sitting: dict[str, Any]) -> None:
        """Keep what has passed so far, and this sitting as the last."""
        if self.file is None:
            return
        record = {
            "name": self.file.stem, "command": _record.tidy(shlex.join(["python", *sys.argv])),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": _record.revision(), "host": _record.host(),
            "result": {
                "tests": len(self.passed), "fewest_passes_in_a_row": min(self.passed.values(), default=0),
                "tests_by_passes_in_a_row": dict(sorted(Counter(map(str, self.passed.values())).items())),
                "sittings": [*self.sittings, sitting], "passed_in_a_row": dict(sorted(self.passed.items())),
            },
        }  # fmt: skip
        self.file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def failing(tests: Sequence[str], workers: int) -> set[str]:
    """Run each of `tests` once, whole files shared among `workers` processes: those that failed."""
    files = sorted({_file(test) for test in tests})
    shares = [[test for test in tests if _file(test) in files[n::workers]] for n in range(min(workers, len(files)))]
    with tempfile.TemporaryDirectory() as folder:
        listed = [Path(folder) / f"tests{n}" for n in range(len(shares))]
        running = [_start(share, file) for share, file in zip(shares, listed, strict=True)]
        codes = [process.wait() for process in running]
        return set().union(*map(_failed, shares, listed, codes))


def _file(test: str) -> str:
    return test.partition("::")[0]


def _start(tests: Sequence[str], listed: Path) -> subprocess.Popen[bytes]:
    listed.write_text("\n".join(tests) + "\n", encoding="utf-8")
    with listed.with_suffix(".said").open("w") as said:
        return subprocess.Popen(_pytest(["-rfE", f"@{listed}"]), cwd=ROOT, stdout=said)


def _failed(tests: Sequence[str], listed: Path, code: int) -> set[str]:
    """Those of `tests` that failed, printed with what pytest said; all of them where pytest itself ended early."""
    if code == 0:
        return set()
    said = listed.with_suffix(".said").read_text(encoding="utf-8")
    print(said, flush=True)
    told = [line.partition(" ")[2] for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    failed = {test for test in tests if any(line == test or line.startswith(f"{test} - ") for line in told)}
    return failed if code == 1 and failed else set(tests)


def repeat(record: Record, tests: Sequence[str], times: int, loops: int, workers: int) -> bool:
    """Whether `tests` all come to pass `times` times in a row beside busy loops."""
    began, rounds, load = datetime.now(UTC), 0, round(os.getloadavg()[0], 1)
    with busy(loops):
        while due := [test for test in tests if record.passed[test] < times]:
            started = time.monotonic()
            failed = failing(due, workers)
            rounds += 1
            record.add(due, failed)
            now = datetime.now(UTC)
            record.write({
                "began": began.isoformat(timespec="seconds"), "ended": now.isoformat(timespec="seconds"),
                "rounds": rounds, "tests": len(tests), "busy_loops": loops, "processes": workers,
                "load_before": load, "load_at_end": round(os.getloadavg()[0], 1), "failed": sorted(failed),
            })  # fmt: skip
            print(f"round {rounds}: {len(failed)} of {len(due)} failed, {time.monotonic() - started:.0f} s", flush=True)
            if failed:
                print(*sorted(failed), sep="\n", flush=True)
                return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", metavar="PATH", default=["tests"], help="only tests there")
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--busy", type=int, default=2, help="busy loops beside them")
    parser.add_argument("--workers", type=int, default=2, help="processes that run tests")
    parser.add_argument("--list", type=Path)
    parser.add_argument("--record", type=Path)
    asked = parser.parse_args()
    if asked.list and asked.list.exists():
        tests = asked.list.read_text(encoding="utf-8").splitlines()
    else:
        tests = find(asked.paths, asked.workers)
        if asked.list:
            asked.list.write_text("\n".join(tests) + "\n", encoding="utf-8")
    tests = [test for test in tests if test.startswith(tuple(asked.paths))]
    print(f"{len(tests)} tests judge a clock or a load", flush=True)
    return int(not repeat(Record(asked.record, tests), tests, asked.times, asked.busy, asked.workers))


if __name__ == "__main__":
    sys.exit(main())
