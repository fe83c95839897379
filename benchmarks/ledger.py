"""Whether a study's ledger holds all that its command used: beside what the system counted of the whole process tree.

    python benchmarks/ledger.py

runs four studies: handwritten digits, Adult (where its file is at hand), a small PyTorch network, and digits again,
killed with SIGKILL after its third trial and resumed. Each runs below this process, which adopts and waits for every
descendant, so that `wait4` has the CPU time of the whole tree; of the killed run, what came after its last commit is
counted too, and is what its ledger may miss. Writes results/ledger.json; ends with code 1 where a total is more than
2 % off.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from _record import ROOT, host, revision, tidy

_ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER
MOST_OFF = 0.02
NETWORK = '''
"""A small network that comes untrained, and rows for it."""

import numpy as np
import torch
from torch import nn


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3))


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 20)).astype(np.float32)
    y = np.argmax(x[:, :3] + 0.3 * x[:, 3:6] ** 2, axis=1)
    return {"x_train": x[:2000], "y_train": y[:2000], "x_val": x[2000:2500], "y_val": y[2000:2500],
            "x_test": x[2500:], "y_test": y[2500:]}
'''


def run(arguments: list[str], folder: Path, enough: Callable[[], bool] | None = None) -> dict[str, float]:
    """Run trimwatt in `folder` to its end or until it is `enough`; CPU seconds of its whole tree, and wall seconds."""
    started = time.monotonic()
    command = [sys.executable, "-m", "trimwatt", *arguments]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    if enough is not None:
        while not enough() and process.poll() is None:
            time.sleep(0.02)
        if process.returncode is not None:
            raise SystemExit(f"{' '.join(command)} ended before it was to be killed")
        process.send_signal(signal.SIGKILL)
    cpu_s, codes = 0.0, {}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status, used = os.wait4(-1, 0)
            cpu_s += used.ru_utime + used.ru_stime
            codes[pid] = os.waitstatus_to_exitcode(status)
            if pid == process.pid:
                wall_s = time.monotonic() - started
    process.returncode = codes[process.pid]
    if enough is None and process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with code {process.returncode}")
    return {"cpu_s": cpu_s, "wall_s": wall_s}


def compared(out: Path, runs: list[dict[str, float]]) -> dict[str, Any]:
    """What was used beside what was booked; off: booked over used, less one."""
    study = json.loads((out / "study.json").read_text(encoding="utf-8"))
    entries = study["ledger"]
    found: dict[str, Any] = {"entries": len(entries), "joules": study["total"], "stages": {}}
    for name, field in (("cpu_s", "cpu_s"), ("wall_s", "duration_s")):
        used, booked = sum(run[name] for run in runs), sum(entry[field] for entry in entries)
        found[name] = {"used": round(used, 3), "booked": round(booked, 3), "off": round(booked / used - 1, 4)}
    for entry in entries:
        found["stages"][entry["stage"]] = round(found["stages"].get(entry["stage"], 0.0) + entry["cpu_s"], 2)
    found["last_entry_cpu_s"] = round(entries[-1]["cpu_s"], 3)
    return found


def trials(out: Path) -> int:
    """How many trials the database of a running study holds."""
    if not (out / "study.db").exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{out / 'study.db'}?mode=ro", uri=True)) as database:
        try:
            return int(database.execute("select count(*) from trimwatt_trial").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def digits(folder: Path) -> list[str]:
    """A table of handwritten digits, and how it is asked about."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    np.savez(folder / "digits.npz", x=x.astype(np.float32), y=y)
    return ["optimize", "digits.npz", "--baseline", "forest"]


def whole(arguments: list[str], folder: Path) -> dict[str, Any]:
    """A study that runs to its end."""
    return compared(folder / "out", [run([*arguments, "-o", "out"], folder)])


def interrupted(arguments: list[str], folder: Path) -> dict[str, Any]:
    """A study that is killed after its third trial, and resumed."""
    out = folder / "out"
    first = run([*arguments, "-o", "out"], folder, lambda: trials(out) >= 3)
    second = run([*arguments, "-o", "out", "--resume"], folder)
    return {"killed": first, "resumed": second, **compared(out, [first, second])}


def studies(data: Path) -> dict[str, Callable[[Path], dict[str, Any]]]:
    """Each study by its name."""
    found: dict[str, Callable[[Path], dict[str, Any]]] = {
        "digits": lambda folder: whole([*digits(folder), "--budget", "50s"], folder),
        "killed and resumed": lambda folder: interrupted(
            [*digits(folder), "--techniques", "runtime,classical", "--budget", "4min"], folder
        ),
        "network": lambda folder: _network(folder),
    }
    adult = next((path for path in sorted(data.rglob("adult*.csv*"))), None)
    if adult is None:
        print(f"Adult is left out: no adult.csv below {data}; TRIMWATT_DATA names its folder", file=sys.stderr)
    else:
        found["adult"] = lambda folder: whole(
            ["optimize", str(adult.resolve()), "--target", "income", "--metric", "f1", "--budget", "90s"], folder
        )
    return found


def _network(folder: Path) -> dict[str, Any]:
    (folder / "network.py").write_text(NETWORK, encoding="utf-8")
    asked = ["optimize", "network:model", "--data", "network:data", "--train", "--max-drop", "0.03", "--budget", "60s"]
    return whole(asked, folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="one study, by name; nothing is recorded then")
    asked = parser.parse_args()
    if ctypes.CDLL(None, use_errno=True).prctl(_ADOPT_ORPHANS, 1, 0, 0, 0) != 0:
        parser.error("this system does not let a process adopt orphans; Linux does")
    every = studies(Path(os.environ.get("TRIMWATT_DATA", ROOT.parent / "shared" / "data")))
    record: dict[str, Any] = {
        "name": "ledger", "command": "python benchmarks/ledger.py",
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": revision(), "host": host(), "studies": {},
    }  # fmt: skip
    for name, study in every.items():
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                record["studies"][name] = found = study(Path(folder))
            off = ", ".join(f"{kind} {found[kind]['off']:+.2%}" for kind in ("cpu_s", "wall_s"))
            print(f"{name}: booked over used {off}", flush=True)
    if asked.only is None:
        target = ROOT / "benchmarks" / "results" / "ledger.json"
        target.write_text(tidy(json.dumps(record, indent=2, ensure_ascii=False)) + "\n", encoding="utf-8")
    worst = max(abs(s[kind]["off"]) for s in record["studies"].values() for kind in ("cpu_s", "wall_s"))
    return int(worst > MOST_OFF)


if __name__ == "__main__":
    sys.exit(main())
