"""Training in float32, bfloat16 and float16: energy and quality of each, on real images.

    python benchmarks/training_precision.py [--epochs 4] [--seeds 3] [--rows 2000] [--network small-cnn]

Trains a network on PneumoniaMNIST (training rows) from the same seeds in each format, the order drawn anew each round,
one thread, and writes results/training_precision.json: CPU seconds and energy of each training, quality on the
validation rows, and ratios to float32 of the same seed. Convolutions in float16 have no fast kernels on processors, so
the three formats are compared on --float16-rows rows and one epoch first, then float32 and bfloat16 on all of them.
Data under $TRIMWATT_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _record
import numpy as np

import trimwatt as tw
from trimwatt import framework
from trimwatt import input as inputs
from trimwatt.framework.torch.run import threads
from trimwatt.scenario import Scenario
from trimwatt.study import setup
from trimwatt.technique import apply, registry
from trimwatt.workload import Workload

DATA = Path(os.environ.get("TRIMWATT_DATA", _record.ROOT.parent / "shared" / "data"))


def job(rows: int, seed: int) -> Workload:
    """PneumoniaMNIST with at most so many training rows."""
    data, _ = inputs.load(str(DATA / "pneumoniamnist.npz"), task="auto", seed=0)
    data = replace(data, train=data.train.sample(rows, seed))
    return setup.workload(
        None,
        data,
        metric_name="accuracy",
        positive=None,
        scenario=Scenario(1, 1, "array"),
        seed=seed,
        train=False,
    )


def trained(start: Workload, precision: str, epochs: int) -> dict[str, Any]:
    """One training: what it took and how good it became."""
    step = registry()["train"](epochs=epochs, patience=None, precision=precision)
    before = time.process_time()
    with threads(1), tw.meter(precision) as measured:
        made = apply(step, start)
    took = time.process_time() - before
    rows = made.rows.val
    answers = framework.get("torch").scores(made, rows.x).argmax(1)
    reading = measured.reading.to_dict()
    return {
        "precision": precision, "seed": start.seed, "cpu_s": took,
        "energy": reading["process"], "accuracy": made.quality(rows.y, answers),
    }  # fmt: skip


def rounds(network: str, kinds: list[str], rows: int, epochs: int, seeds: int) -> dict[str, Any]:
    """All formats from each seed, in an order drawn by lot; one training before them that is not counted."""
    rng, runs = np.random.default_rng(0), []
    for seed in range(seeds):
        start = apply(registry()[network](), job(rows, seed))
        if not seed:
            trained(replace(start, data=replace(start.rows, train=start.rows.train.sample(64, 0))), kinds[0], 1)
        for kind in rng.permutation(kinds):
            runs.append(trained(start, str(kind), epochs))
            print(json.dumps({key: runs[-1][key] for key in ("precision", "seed", "cpu_s", "accuracy")}), flush=True)
    return {"rows": rows, "epochs": epochs, "runs": runs, "summary": [_summary(runs, kind) for kind in kinds]}


def _summary(runs: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    mine = {run["seed"]: run for run in runs if run["precision"] == kind}
    plain = {run["seed"]: run for run in runs if run["precision"] == "float32"}
    ratios = [mine[seed]["cpu_s"] / plain[seed]["cpu_s"] for seed in mine]
    gains = [mine[seed]["accuracy"] - plain[seed]["accuracy"] for seed in mine]
    return {
        "precision": kind, "cpu_ratio": {"median": float(np.median(ratios)), "low": min(ratios), "high": max(ratios)},
        "accuracy": float(np.mean([run["accuracy"] for run in mine.values()])), "accuracy_gain": float(np.mean(gains)),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--float16-rows", type=int, default=300)
    parser.add_argument("--network", default="small-cnn")
    asked = parser.parse_args()
    parts = {
        "three": rounds(asked.network, ["float32", "bfloat16", "float16"], asked.float16_rows, 1, asked.seeds),
        "two": rounds(asked.network, ["float32", "bfloat16"], asked.rows, asked.epochs, asked.seeds),
    }
    record = {
        "name": "training_precision", "command": _record.tidy(" ".join(["python", *sys.argv])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "host": _record.host(), "network": asked.network, **parts,
    }  # fmt: skip
    target = _record.ROOT / "benchmarks" / "results" / "training_precision.json"
    target.write_text(_record.tidy(json.dumps(record, indent=1, allow_nan=False)) + "\n", encoding="utf-8")
    print(f"recorded in {target.relative_to(_record.ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
