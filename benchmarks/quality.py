"""Quality and served cost of trimwatt's recommendation beside untuned fits, FLAML and AutoGluon, on eight tables.

    python benchmarks/quality.py --peers PYTHON [--autogluon PYTHON] [--minutes 3] [--sets ...] [--contestants ...]

A fifth of the rows is kept back, the last fifth where rows have a time; of sets under 2,000 rows each fifth in turn.
Every contestant trains in a process of its own, from the same files, on the same cores, and never sees the targets it
is judged by. Runs are kept in --work, one folder each, so an interrupted benchmark goes on where it stopped; --again
NAME trains that contestant anew. The record, results/quality.json, has everything that lies there for these minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _quality_cost as cost
import _quality_data as data
import _quality_judge as judging
import _quality_page as page
import _record

from trimwatt.compare import affinity

FIT = Path(__file__).with_name("_quality_fit.py")
CONTESTANTS = ("hist_gradient_boosting", "lightgbm", "trimwatt", "flaml", "autogluon")
TUNED = ("trimwatt", "flaml", "autogluon")
PACKAGES = (
    "scikit-learn", "lightgbm", "xgboost", "flaml", "autogluon.tabular", "catboost", "torch", "fastai", "pandas",
    "onnxmltools", "skl2onnx", "onnxruntime",
)  # fmt: skip
TARGET = _record.ROOT / "benchmarks" / "results" / "quality.json"


def run_folder(fold: Path, name: str, asked: argparse.Namespace) -> Path:
    """Where a contestant's run lies; what is not tuned is the same after any time on any number of cores."""
    return fold / (f"{name}-{asked.minutes:g}min-{asked.threads}t" if name in TUNED else name)


def train(name: str, table: data.Table, fold: Path, asked: argparse.Namespace) -> None:
    """Run one contestant on one fold, unless that was done; what failed is kept with its reason."""
    run = run_folder(fold, name, asked)
    if (run / "ran.json").is_file() and name not in asked.again:
        return
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    data.save(data.describe(table, fold, asked.minutes, asked.threads), run)
    command = [asked.interpreters[name], str(FIT), name, str(fold), str(run)]
    told = {**bounded(command, 90 * asked.minutes + 180), "revision": _record.revision()["commit"]}
    told["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    (run / "ran.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(f"{table.name} {fold.name} {name}: {told['wall_s']:.0f} s, {told['failed'] or 'done'}", flush=True)


def bounded(command: list[str], limit_s: float) -> dict[str, Any]:
    """Run with a time limit; what it took, and why it failed."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            code = child.wait(limit_s)
            output.seek(0)
            failed = f"exit code {code}: {_last_line(output.read())}" if code else None
        except subprocess.TimeoutExpired:
            failed = f"not done after {limit_s:.0f} s"
        finally:
            _end(child)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "wall_s": round(time.monotonic() - started, 1), "cpu_s": round(cpu_s, 1), "failed": failed,
        "load_after": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def _end(child: subprocess.Popen[bytes]) -> None:
    """End it and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return _record.tidy(lines[-1])[:300] if lines else "no output"


def judged(table: data.Table, folds: list[Path], asked: argparse.Namespace) -> dict[str, Any]:
    """What is known of one set."""
    runs = {name: [run_folder(fold, name, asked) for fold in folds] for name in CONTESTANTS}
    told = {name: _told(folders) for name, folders in runs.items() if all((f / "ran.json").is_file() for f in folders)}
    done = {name: runs[name] for name, one in told.items() if not one["failed"]}
    rows = judging.Judged.read(table.metric, folds)
    said = {name: judging.answers(table.metric, folders) for name, folders in done.items()}
    found = {
        "metric": table.metric, "target": table.target, "kept_back": "last fifth" if table.time else
        "each fifth in turn" if len(folds) > 1 else "a fifth at random",
        "few": len(folds) > 1, "contestants": told, **judging.judge(rows, said),
    }  # fmt: skip
    found |= judging.verdict(found) if said else {}
    return {**found, "exports": _exports(table, rows, said, done)}


def _told(folders: list[Path]) -> dict[str, Any]:
    """How a contestant's runs went, fold by fold."""
    ran = [json.loads((folder / "ran.json").read_text(encoding="utf-8")) for folder in folders]
    infos = [json.loads((f / "info.json").read_text(encoding="utf-8")) for f in folders if (f / "info.json").is_file()]
    failed = [one["failed"] for one in ran if one["failed"]]
    kept = ("model", "reference", "baseline", "verdict", "warnings", "config", "trained", "export", "ledger")
    return {
        "failed": failed[0] if failed else None, "cpu_s": sum(one["cpu_s"] for one in ran),
        "wall_s": sum(one["wall_s"] for one in ran), "revisions": sorted({one["revision"] for one in ran}),
        "runs": [{key: info[key] for key in kept if key in info} | _trials(info) for info in infos],
    }  # fmt: skip


def _trials(info: dict[str, Any]) -> dict[str, list[str]]:
    """One line for each trial of a study: how it was judged, and its ratio to the study's baseline."""
    lines = []
    for trial in info.get("trials", ()):
        quality, ratio = trial["quality"] or {}, trial["ratio_to_baseline"] or {}
        figures = f"{quality.get('value', float('nan')):.4f}, {ratio.get('value', float('nan')):.4g} of the baseline"
        lines.append(f"{trial['name']}: {trial['status']}, {trial['floor_test']}, {figures}")
    return {"trials": lines} if lines else {}


def _exports(
    table: data.Table, rows: judging.Judged, said: dict[str, Any], done: dict[str, list[Path]]
) -> dict[str, Any]:
    """trimwatt's quality minus that of each exported model's own answers, and how often those are the model's."""
    found = {}
    for name, folders in done.items():
        if name == judging.OURS or not all((folder / "export.npz").is_file() for folder in folders):
            continue
        theirs = judging.answers(table.metric, folders, "export.npz")
        judged = judging.judge(rows, {**{k: v for k, v in said.items() if k == judging.OURS}, "export": theirs})
        gap = judged["trimwatt_minus"].get("export")
        found[name] = {
            "quality": judged["quality"]["export"], "trimwatt_minus": gap,
            "equal_quality": None if gap is None else judging.same(gap),
        }  # fmt: skip
    return found


def served(table: data.Table, fold: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """What predictions take in the first fold; measured once and kept, since ratios of one run belong together."""
    kept = fold / f"cost-{asked.minutes:g}min-{asked.threads}t.json"
    if asked.measure:
        runs = {name: run_folder(fold, name, asked) for name in CONTESTANTS}
        done = {name: run for name, run in runs.items() if (run / "predictions.npz").is_file()}
        told = {"load": round(os.getloadavg()[0], 2), "forms": cost.costs(fold, done, asked.interpreters)}
        kept.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}


def versions(interpreter: str) -> dict[str, str]:
    """Package versions as another interpreter sees them."""
    code = (
        f"import json, importlib.metadata as m\nwanted = {PACKAGES}\n"
        "print(json.dumps({d.name: d.version for d in m.distributions() if d.name in wanted}))"
    )
    return dict(json.loads(subprocess.run([interpreter, "-c", code], capture_output=True, text=True).stdout or "{}"))


def record(asked: argparse.Namespace) -> dict[str, Any]:
    """Everything that is known for these minutes."""
    sets = {}
    for name in asked.sets:
        table = data.TABLES[name]
        folds = data.write(table, asked.work)
        sets[name] = {**judged(table, folds, asked), "served": served(table, folds[0], asked)}
        page.show(name, sets[name])
    return {
        "name": "quality", "command": _record.tidy(" ".join(["python", *sys.argv])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "host": _record.host(), "minutes": asked.minutes, "threads": asked.threads, "max_drop": judging.MAX_DROP,
        "contestants": {name: versions(asked.interpreters[name]) for name in CONTESTANTS if name in asked.interpreters},
        "sets": sets, "summary": page.summary(sets),
    }  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peers", required=True, help="interpreter with flaml[automl], lightgbm, onnxmltools, skl2onnx"
    )
    parser.add_argument("--autogluon", help="interpreter with autogluon.tabular; left out unless given")
    parser.add_argument("--minutes", type=float, default=3.0, help="for each of trimwatt, FLAML and AutoGluon")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="cores for each training")
    parser.add_argument("--sets", nargs="+", choices=list(data.TABLES), default=list(data.TABLES))
    parser.add_argument("--contestants", nargs="*", choices=CONTESTANTS, default=list(CONTESTANTS), help="to train now")
    parser.add_argument("--again", nargs="*", choices=CONTESTANTS, default=[], help="to train anew")
    parser.add_argument("--measure", action="store_true", help="measure served cost too: with nothing else running")
    parser.add_argument("--work", type=Path, required=True, help="folder where runs are kept")
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    asked = parser.parse_args()
    own = {"trimwatt": sys.executable, "autogluon": asked.autogluon}
    asked.interpreters = {name: own.get(name, asked.peers) for name in CONTESTANTS if own.get(name, asked.peers)}
    asked.work = asked.work.resolve()
    return asked


def train_all(asked: argparse.Namespace) -> None:
    """All runs that are asked for, on the first cores of this process's own; children inherit them."""
    with affinity.kept():
        affinity.pin(os.getpid(), frozenset(sorted(affinity.available())[: asked.threads]))
        for table in (data.TABLES[name] for name in asked.sets):
            for fold in data.write(table, asked.work):
                for name in CONTESTANTS:
                    if name in asked.contestants and name in asked.interpreters:
                        train(name, table, fold, asked)


def main() -> int:
    asked = arguments()
    train_all(asked)
    found = record(asked)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(_record.tidy(json.dumps(found, indent=1, ensure_ascii=False)) + "\n", encoding="utf-8")
    page.tell(found["summary"])
    return 0 if all(one["met"] is not False for one in found["summary"]["claims"]) else 1


if __name__ == "__main__":
    sys.exit(main())
