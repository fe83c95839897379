"""What the comparer claims about itself: false claims, coverage, power. Run it on a machine that does nothing else.

python benchmarks/evidence.py --all -o benchmarks/results/evidence.json     about a quarter of an hour on two cores
python benchmarks/evidence.py --parts simulation drawn                      needs no quiet machine

Parts: quiet (identical arms, live), busy (the same beside a load of 4), slower (arms that do 3, 5 and 10 % more work),
drawn (thousands of comparisons from the traces that quiet and busy leave), simulation. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import functools
import gzip
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _record
import _rule
import numpy as np

import trimwatt as tw
from trimwatt.compare.api import SITTING
from trimwatt.compare.arms import FunctionArm
from trimwatt.compare.pairing import size_block
from trimwatt.compare.result import Comparison

HERE = Path(__file__).parent
TRACES = HERE / "results" / "traces"
PARTS = ("quiet", "busy", "slower", "drawn", "simulation")
COLUMNS = ("comparison", "kind", "pair", "sitting", "a_cpu_s", "b_cpu_s", "a_wall_s", "b_wall_s", "a_first", "core",
           "load", "frequency_hz", "steal_s", "a_requests", "b_requests")  # fmt: skip
_LOADS = 4
# pairs that a live comparison may take, so that eighty end within ten minutes (on a busy host one takes three times as
# long); no self-test, whose guard would only make claims fewer: the rule is to be right without it
_HOW: dict[str, Any] = {"budget": 20, "self_test": False}


def work(n: int) -> int:
    """n steps of plain Python."""
    total = 0
    for i in range(n):
        total += i * i & 255
    return total


def delivered(folder: Path) -> Path:
    """A small model in ONNX Runtime, whose answers take microseconds: the most sensitive to a process's luck."""
    from sklearn.linear_model import LogisticRegression

    from trimwatt import input, runtime
    from trimwatt.framework import onnx
    from trimwatt.runtime import deployed
    from trimwatt.scenario import Scenario
    from trimwatt.testing import samples

    data = samples.digits()
    model = LogisticRegression(max_iter=300).fit(data.rows.train.x, data.rows.train.y)
    lowered = onnx.lower(replace(data, model=model, form="sklearn", outputs="probabilities"))
    made = folder / "made"
    made.mkdir()
    artifact = runtime.get("onnxruntime").export(lowered, made)
    return deployed.write(
        folder / "linear", artifact, task="classification", metric="accuracy", classes=data.rows.classes,
        input=input.describe(data.rows), recipe=[], figures={}, scenario=Scenario(),
    )  # fmt: skip


@contextlib.contextmanager
def load(processes: int) -> Iterator[None]:
    """So many processes that never rest, ended afterwards."""
    # they also end with this process, whatever ends it
    spin = "import os; parent = os.getppid()\nwhile os.getppid() == parent: sum(range(10000))"
    started = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(processes)]
    try:
        time.sleep(5.0 if processes else 0.0)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def identical(state: str, runs: int) -> dict[str, Any]:
    """`runs` live comparisons of arms with themselves, their raw pairs kept as this state's trace."""
    with tempfile.TemporaryDirectory() as folder, load(_LOADS if state == "busy" else 0):
        artifact, rows = delivered(Path(folder)), _rows()
        kinds: dict[str, Callable[[int], Any]] = {
            "python": lambda seed: tw.compare(_step(4000), _step(4000), **_HOW, seed=seed),
            "onnxruntime": lambda seed: tw.compare(artifact, artifact, data=rows, **_HOW, seed=seed),
        }
        found: list[tuple[str, tuple[Comparison, float]]] = []
        for seed in range(runs):
            kind = list(kinds)[seed % 2]
            found.append((kind, _timed(kinds[kind], seed)))
            # a stopped run keeps the pairs it has
            _save(state, found)
        contrast = _rule.blocked(_blocks(600))
    return {"most_pairs": _HOW["budget"], **_summary(found), "in_blocks": contrast}


def _summary(found: list[tuple[str, tuple[Comparison, float]]]) -> dict[str, Any]:
    """Counts of live comparisons of arms that are the same."""
    return {
        "false_claims": _rule.counted(sum(c.verdict in ("less", "more") for _, (c, _) in found), len(found)),
        "covered": _rule.share([c.low <= 1 <= c.high for _, (c, _) in found]),
        "verdicts": {v: sum(c.verdict == v for _, (c, _) in found) for v in ("less", "more", "tied", "inconclusive")},
        "by_kind": {kind: _by_kind([pair for k, pair in found if k == kind]) for kind in sorted({k for k, _ in found})},
        "ratios": [[round(x, 4) for x in (c.ratio, c.low, c.high)] + [c.pairs, c.verdict] for _, (c, _) in found],
    }  # fmt: skip


def _step(n: int) -> Any:
    return functools.partial(work, n)


def _rows() -> Any:
    from trimwatt.testing import samples

    return samples.digits().rows.val.x


def _timed(run: Callable[[int], Any], seed: int) -> tuple[Comparison, float]:
    started = time.monotonic()
    found: Comparison = run(seed)
    print(".", end="", flush=True, file=sys.stderr)
    return found, time.monotonic() - started


def _by_kind(found: list[tuple[Comparison, float]]) -> dict[str, Any]:
    return {
        "comparisons": len(found), "false_claims": sum(c.verdict in ("less", "more") for c, _ in found),
        "pairs_median": float(np.median([c.pairs for c, _ in found])) if found else None,
        "half_width_median": round(float(np.median([(c.high - c.low) / 2 for c, _ in found])), 4) if found else None,
        "seconds_median": round(float(np.median([s for _, s in found])), 2) if found else None,
    }  # fmt: skip


def _blocks(number: int) -> Any:
    """CPU seconds of successive blocks of one process that is kept nowhere."""
    with FunctionArm(_step(4000), name="blocks") as arm:
        count = size_block(arm, 0.02)
        return np.array([arm.run(count).cpu_s for _ in range(number)])


def _against(steps: int, seed: int) -> Any:
    return tw.compare(_step(steps), _step(4000), parity=False, **_HOW, seed=seed)


def slower(runs: int) -> dict[str, Any]:
    """Live spot checks: an arm that does 3, 5 or 10 % more work."""
    made = {}
    for effect in _rule.EFFECTS:
        found = [_timed(functools.partial(_against, round(4000 * effect)), seed) for seed in range(runs)]
        made[str(effect)] = {
            "comparisons": runs, "covered": sum(c.low <= effect <= c.high for c, _ in found),
            "claimed": sum(c.verdict == "more" for c, _ in found),
            "pairs_median": float(np.median([c.pairs for c, _ in found])),
            "seconds_median": round(float(np.median([s for _, s in found])), 2),
            "ratios": [[round(x, 4) for x in (c.ratio, c.low, c.high)] for c, _ in found],
        }  # fmt: skip
    return made


def _save(state: str, found: list[tuple[str, tuple[Comparison, float]]]) -> None:
    """Every pair of the live comparisons, one a line."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*COLUMNS, "took_s"])
    for number, (kind, (c, took)) in enumerate(found):
        for pair, (a, b) in enumerate(zip(c.a.blocks, c.b.blocks, strict=True)):
            core = " ".join(map(str, a.cores or ()))
            clock = [f"{v:.6g}" for v in (a.cpu_s, b.cpu_s, a.wall_s, b.wall_s)]
            machine = [a.load, f"{a.frequency_hz or 0:.4g}", a.steal_s]
            first = int((a.place or 0) == 0)
            writer.writerow([number, kind, pair, pair // SITTING, *clock, first, core, *machine, a.requests, b.requests,
                             f"{took:.3g}"])  # fmt: skip
    TRACES.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(TRACES / f"{state}.csv.gz", "wb", mtime=0) as packed:
        packed.write(file.getvalue().encode())


def traces() -> dict[str, _rule.Trace]:
    """What was recorded, by state and kind of arm."""
    found = {}
    for path in sorted(TRACES.glob("*.csv.gz")):
        with gzip.open(path, "rt") as file:
            rows = list(csv.DictReader(file))
        for kind in sorted({row["kind"] for row in rows}):
            found[f"{path.name.split('.')[0]}, {kind}"] = _trace([row for row in rows if row["kind"] == kind])
    if not found:
        raise SystemExit("no traces are there: run the parts quiet and busy first")
    return found


def _trace(rows: list[dict[str, str]]) -> _rule.Trace:
    sittings: dict[tuple[str, str], list[float]] = {}
    took = {row["comparison"]: (float(row["took_s"]), 0) for row in rows}
    for row in rows:
        a, b = (float(row[f"{arm}_cpu_s"]) / int(row[f"{arm}_requests"]) for arm in ("a", "b"))
        sittings.setdefault((row["comparison"], row["sitting"]), []).append(float(np.log(a / b)))
        took[row["comparison"]] = took[row["comparison"]][0], took[row["comparison"]][1] + 1
    whole = [np.array(logs) for logs in sittings.values() if len(logs) == SITTING]
    return _rule.Trace(whole, float(np.median([seconds / pairs for seconds, pairs in took.values()])))


def targets(parts: dict[str, Any]) -> dict[str, Any]:
    """What was to be shown, and whether it was."""
    found: dict[str, tuple[float, bool]] = {}
    if "drawn" in parts:
        high = parts["drawn"]["false_claims"]["high"]
        found["upper bound of false claims, drawn, at most 0.05"] = high, high <= 0.05
        states = [s for s in parts["drawn"]["states"].values() if "effects" in s]
        effects = [e for s in states for e in s["effects"].values()]
        covered = min(e["coverage"] for e in effects)
        found["coverage of injected effects, drawn, at least 0.95"] = covered, covered >= 0.95
        power = min(s["effects"]["1.05"]["power"] for s in states)
        found["power against 5 %, drawn, at least 0.9"] = power, power >= 0.9
    if "simulation" in parts:
        least = parts["simulation"]["least_coverage"]
        found["coverage in every simulated cell, at least 0.95"] = least, least >= 0.95
    return {name: {"value": value, "met": met} for name, (value, met) in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every part")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[], help="only these; others are kept from -o")
    parser.add_argument("--runs", type=int, default=40, help="live comparisons a state")
    parser.add_argument("--draws", type=int, default=1000, help="comparisons drawn a state and kind of arm")
    parser.add_argument("--cells", type=int, default=300, help="simulated comparisons a cell")
    parser.add_argument("-o", "--output", type=Path, help="record to write, or to add these parts to")
    asked = parser.parse_args()
    wanted = PARTS if asked.all else asked.parts
    if not wanted:
        parser.error("nothing was asked: give --all or --parts")
    kept = json.loads(asked.output.read_text()) if asked.output and asked.output.is_file() and not asked.all else {}
    run: dict[str, Callable[[], dict[str, Any]]] = {
        "quiet": lambda: identical("quiet", asked.runs), "busy": lambda: identical("busy", asked.runs),
        "slower": lambda: slower(max(1, asked.runs // 8)), "drawn": lambda: _rule.drawn(traces(), asked.draws),
        "simulation": lambda: _rule.simulate(asked.cells),
    }  # fmt: skip
    host, parts = _record.host(), kept.get("parts", {})
    for name in (name for name in PARTS if name in wanted):
        parts[name] = _part(name, run[name])
        # each part is written when it is done: a stopped run keeps what it had
        found = _write(parts, host, asked.output)
    print(json.dumps(found["targets"], indent=2))
    return 0 if all(t["met"] for t in found["targets"].values()) else 1


def _write(parts: dict[str, Any], host: dict[str, Any], target: Path | None) -> dict[str, Any]:
    """The record of the parts so far, also in the file `target`."""
    record = {
        "name": "evidence", "command": f"python benchmarks/evidence.py {_record.tidy(' '.join(sys.argv[1:]))}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(), "host": host,
        "targets": targets(parts), "parts": parts,
    }  # fmt: skip
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def _part(name: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    print(f"{name} ", end="", flush=True, file=sys.stderr)
    made = _rule.timed(run)
    print(f" {made['took_s']:.0f} s", file=sys.stderr)
    return {**made, "date": datetime.now(UTC).isoformat(timespec="seconds")}


if __name__ == "__main__":
    sys.exit(main())
