"""Whether work that an arm leaves to other processes is counted: hidden, over the same with its children waited for.

    .venv/bin/python benchmarks/hidden_work.py

Five arms as commands, and the gate on a commit that does the work twice in a child that nobody waits for; each by
every way of counting, the better ones switched off. Writes results/hidden_work.json. A ratio of 1 is the truth; 0.95 to
1.05 is asked for, or a refusal with its reason where there is neither a control group nor a task clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import _record

from trimwatt.compare import api
from trimwatt.compare.command import CommandArm
from trimwatt.compare.result import Comparison
from trimwatt.gate import config, run
from trimwatt.host import counting

ROOT = Path(__file__).parents[1]
GIT = ("git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
LOW, HIGH = 0.95, 1.05
WORK = '''
import os, signal, subprocess, sys, threading, time

def burn(steps=1_800_000):
    x = 1
    for i in range(steps):
        x = (x * 31 + i) & 0xFFFF
    return x

def child(wait, times=1):
    end, start = os.pipe()
    pid = os.fork()
    if pid == 0:
        for _ in range(times):
            made = burn()
        os.write(start, str(made).encode())
        os._exit(0)
    os.close(start)
    print(os.read(end, 99).decode(), flush=True)
    return pid if wait else None

def finish(pid):
    if pid is not None:
        os.waitpid(pid, 0)
    os._exit(0)

def double_fork(wait):
    end, start = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        inner = os.fork()
        if inner == 0:
            os.write(start, str(burn()).encode())
            os._exit(0)
        finish(inner if wait else None)
    os.close(start)
    os.waitpid(pid, 0)
    print(os.read(end, 99).decode(), flush=True)

def ignored(wait):
    if not wait:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    pid = child(wait)
    time.sleep(0.01)
    finish(pid)

def thread(wait):
    made = []
    worker = threading.Thread(target=lambda: made.append(burn()))
    worker.start()
    worker.join()
    print(made[0])

def program(wait):
    print(subprocess.run([sys.executable, "-S", "-E", __file__, "direct", "waited"], capture_output=True).stdout)

MODES = {
    "direct": lambda wait: print(burn()), "double fork": double_fork,
    "not waited for": lambda wait: finish(child(wait)), "SIGCHLD ignored": ignored,
    "child program": program, "thread": thread, "twice": lambda wait: finish(child(wait, 2)),
}
if __name__ == "__main__":
    MODES[sys.argv[1]](sys.argv[2] == "waited")
'''  # fmt: skip
MODES = ("double fork", "not waited for", "SIGCHLD ignored", "child program", "thread")


def command(work: Path, mode: str, how: str) -> list[str]:
    return [sys.executable, "-S", "-E", str(work), mode, how]


def arm(work: Path, mode: str, pairs: int) -> dict[str, Any]:
    """A mode over the same with its children waited for."""
    arms = {"hidden": command(work, mode, "hidden"), "waited": command(work, mode, "waited")}
    found = api.compare(arms, budget=pairs, self_test=False)
    assert isinstance(found, Comparison)
    return told(found.ratio, found.low, found.high, found.pairs, found.verdict, found.uncounted)


def told(ratio: float, low: float, high: float, pairs: int, verdict: str, missed: tuple[str, ...]) -> dict[str, Any]:
    within = LOW <= ratio <= HIGH
    return {
        "ratio": round(ratio, 4), "low": round(low, 4), "high": round(high, 4), "pairs": pairs, "verdict": verdict,
        "within": within, "refused": list(missed), "holds": within or bool(missed),
    }  # fmt: skip


def gate(work: Path, pairs: int, most_s: float) -> dict[str, Any]:
    """The gate's ratio for a commit that does the work twice in a child, hidden over waited for."""
    found = {how: _gated(work, how, pairs, most_s) for how in ("waited", "hidden")}
    hidden, true = found["hidden"], found["waited"]
    ratio = hidden["ratio"] / true["ratio"]
    refused = tuple(hidden["uncounted"])
    over = told(ratio, hidden["low"] / true["ratio"], hidden["high"] / true["ratio"], hidden["pairs"], "", refused)
    return {**over, "against_the_commit": found, "closed": hidden["exit_code"] == 1 == true["exit_code"]}


def _gated(work: Path, how: str, pairs: int, most_s: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        (repository / "work.py").write_text(work.read_text(encoding="utf-8"), encoding="utf-8")
        check = "[tool.trimwatt.check.work]\ncommand = " + json.dumps([sys.executable, "-S", "-E", "run.py"]) + "\n"
        (repository / "pyproject.toml").write_text(check, encoding="utf-8")
        line = "import sys, work; sys.argv[1:] = [{0!r}, {1!r}]; work.MODES[{0!r}]({1!r} == 'waited')\n"
        line = "import sys; sys.path.insert(0, '.'); " + line
        (repository / "run.py").write_text(line.format("direct", "waited"), encoding="utf-8")
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
            subprocess.run([*GIT, *words], cwd=repository, check=True)
        (repository / "run.py").write_text(line.format("twice", how), encoding="utf-8")
        options = run.Options(against="HEAD", most_s=most_s, most_pairs=pairs, seed=0)
        outcome = run.run(config.read(repository / "pyproject.toml"), repository, options).outcome
    comparison = outcome.checks[0].comparison or {}
    kept = ("ratio", "low", "high", "pairs", "uncounted")
    return {**{name: comparison[name] for name in kept}, "exit_code": outcome.exit_code}


def by(way: str, pairs: int, most_s: float) -> dict[str, Any]:
    """All arms and the gate by one way of counting; None where this host does not offer it."""
    counting.WAYS = (way,)
    with CommandArm(["true"]) as probe:
        counted = probe.run(1).counted
    if counted == "waited":
        return {"offered": False}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work.py"
        work.write_text(WORK, encoding="utf-8")
        arms = {}
        for mode in MODES:
            arms[mode] = arm(work, mode, pairs)
            print(f"{way}: {mode}: {arms[mode]['ratio']:.3f}", file=sys.stderr, flush=True)
        closed = gate(work, pairs, most_s)
        print(f"{way}: gate: {closed['ratio']:.3f}", file=sys.stderr, flush=True)
        return {"offered": True, "counted": counted, "arms": arms, "gate": closed}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10, help="of each comparison")
    parser.add_argument("--seconds", type=float, default=60.0, help="most of a gate's pairs")
    asked = parser.parse_args()
    ways = counting.WAYS
    record: dict[str, Any] = {
        "name": "hidden_work", "command": "python benchmarks/hidden_work.py",
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(), "host": _record.host(),
        "asked": {"pairs": asked.pairs, "low": LOW, "high": HIGH},
        "ways": {way: by(way, asked.pairs, asked.seconds) for way in ways},
        "load_after": round(os.getloadavg()[0], 2),
    }  # fmt: skip
    offered = [found for found in record["ways"].values() if found["offered"]]
    record["holds"] = all(one["holds"] for found in offered for one in (*found["arms"].values(), found["gate"]))
    text = _record.tidy(json.dumps(record, indent=2, ensure_ascii=False)) + "\n"
    (ROOT / "benchmarks" / "results" / "hidden_work.json").write_text(text, encoding="utf-8")
    print(f"holds: {record['holds']}", file=sys.stderr)
    return 0 if record["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
