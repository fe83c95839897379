"""How often the gate closes: on the same code (never, it is hoped) and on code that does 5 % more work (always).

    .venv/bin/python benchmarks/gate.py

makes a small git repository whose check does a fixed amount of CPU work, runs `trimwatt.gate` against its last commit
in turn with the same code and with more work, and writes results/gate.json: counts with Clopper-Pearson bounds, pairs
and seconds. Run it alone: it is the machine's noise that is on trial. --load N keeps N busy processes beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import _record

from trimwatt.compare.statistics import clopper_pearson
from trimwatt.gate import config, run

WORK = "def busy():\n    total = 0\n    for i in range({steps}):\n        total += i * i\n    return total\n\n"
MAIN = 'if __name__ == "__main__":\n    for _ in range(200):\n        busy()\n'
CALLABLE = '[tool.trimwatt.check.busy]\ncallable = "work:busy"\n'
COMMAND = f"[tool.trimwatt.check.busy]\ncommand = [{json.dumps(sys.executable)}, 'src/work.py']\n"
STEPS = 10_000
GIT = ("git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")


def write(repo: Path, steps: int) -> None:
    (repo / "src").mkdir(exist_ok=True)
    (repo / "src" / "work.py").write_text(WORK.format(steps=steps) + MAIN, encoding="utf-8")


def make(repo: Path, check: str) -> None:
    """A repository of one commit."""
    write(repo, STEPS)
    (repo / "pyproject.toml").write_text(check, encoding="utf-8")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*GIT, *words], cwd=repo, check=True)


def once(repo: Path, more: float, seed: int, most_s: float) -> dict[str, Any]:
    """One run of the gate, the working tree doing `more` times the work of the last commit."""
    write(repo, round(STEPS * more))
    started = time.monotonic()
    options = run.Options(against="HEAD", most_s=most_s, seed=seed)
    outcome = run.run(config.read(repo / "pyproject.toml"), repo, options).outcome
    (check,) = outcome.checks
    (finding,) = check.findings
    comparison = check.comparison or {}
    return {
        "status": finding.status, "ratio": finding.value, "low": finding.low, "high": finding.high,
        "basis": finding.basis, "pairs": comparison.get("pairs"), "stopped": comparison.get("stopped"),
        "seconds": round(time.monotonic() - started, 2),
    }  # fmt: skip


def summary(runs: list[dict[str, Any]], true: float) -> dict[str, Any]:
    """Counts and their bounds, whether intervals held the truth, and what it took."""
    n = len(runs)
    if not n:
        return {"runs": 0}
    closed = sum(r["status"] == "fail" for r in runs)
    covered = sum(r["low"] <= true <= r["high"] for r in runs)
    low, high = clopper_pearson(closed, n)
    return {
        "runs": n, "true_ratio": true, "closed": closed, "closed_share": {"low": low, "high": high},
        "open": sum(r["status"] == "pass" for r in runs),
        "not_settled": sum(r["status"] == "inconclusive" for r in runs),
        "intervals_that_hold_the_truth": covered,
        "median_ratio": float(np.median([r["ratio"] for r in runs])),
        "median_pairs": float(np.median([r["pairs"] for r in runs])),
        "median_seconds": float(np.median([r["seconds"] for r in runs])),
    }  # fmt: skip


def main() -> int:
    asked, started = _arguments(), time.monotonic()
    runs: dict[str, list[dict[str, Any]]] = {"same": [], "more": []}
    facts = {
        "name": asked.name, "command": _record.tidy("python benchmarks/gate.py " + " ".join(sys.argv[1:])).strip(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "host": _record.host(), "kind": "command" if asked.command else "callable", "load": asked.load,
        "tolerance": config.TOLERANCE, "effect": asked.effect,
    }  # fmt: skip
    with ExitStack() as stack:
        repo = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make(repo, COMMAND if asked.command else CALLABLE)
        for _ in range(asked.load):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        for seed, kind in enumerate(_turns(asked.same, asked.more)):
            if time.monotonic() - started > asked.most:
                break
            runs[kind].append(once(repo, 1 + asked.effect * (kind == "more"), seed, asked.budget))
            print(f"{seed + 1} {kind}: {runs[kind][-1]}", file=sys.stderr, flush=True)
            # after each run, so that a stopped one keeps what it has
            record = _written(facts, runs, time.monotonic() - started)
    print(json.dumps({kind: record[kind] for kind in ("same", "more")}, indent=1))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--same", type=int, default=100, help="runs on the same code")
    parser.add_argument("--more", type=int, default=20, help="runs on code that does more")
    parser.add_argument("--effect", type=float, default=0.05, help="how much more, as a share")
    parser.add_argument("--most", type=float, default=570, help="seconds for everything; what was not run is left out")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds of one run's pairs")
    parser.add_argument("--command", action="store_true", help="gate a command instead of a callable")
    parser.add_argument("--load", type=int, default=0, help="busy processes beside it")
    parser.add_argument("--name", default="gate", help="of the record: results/NAME.json")
    return parser.parse_args()


def _written(facts: dict[str, Any], runs: dict[str, list[dict[str, Any]]], wall_s: float) -> dict[str, Any]:
    """The record so far, also in its file."""
    record = {
        **facts, "wall_s": round(wall_s, 1), "same": summary(runs["same"], 1.0),
        "more": summary(runs["more"], 1 + facts["effect"]), "runs": runs,
    }  # fmt: skip
    target = _record.ROOT / "benchmarks" / "results" / f"{facts['name']}.json"
    target.write_text(_record.tidy(json.dumps(record, indent=1, ensure_ascii=False)) + "\n", encoding="utf-8")
    return record


def _turns(same: int, more: int) -> list[str]:
    """Both kinds spread evenly over the time, so that neither has the machine's better hour."""
    places = [(i / max(same, 1), "same") for i in range(same)] + [
        ((i + 0.5) / max(more, 1), "more") for i in range(more)
    ]
    return [kind for _, kind in sorted(places)]


if __name__ == "__main__":
    sys.exit(main())
