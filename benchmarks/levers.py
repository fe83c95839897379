"""Every lever on one network: what it keeps, what it saves beside PyTorch eager and ONNX Runtime, what it cost.

    python benchmarks/levers.py resnet20 [--only REGEX] [--list]

Each candidate is made, opened and judged as a study would, then compared in random pairs with two arms of the same
model: PyTorch eager and ONNX Runtime in float32. Takings in CPU seconds, batch 1, one thread. The cheapest that meets
the floor and saves, and the cheapest proven to, are asked once for the test rows. Written to results/levers_NAME.json.
Data under $TRIMWATT_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _record
import numpy as np
import psutil
from _levers import chains

from trimwatt import input as inputs
from trimwatt._process import ForkServer
from trimwatt.compare import comparer
from trimwatt.compare.arms import SessionArm
from trimwatt.compare.comparer import Comparison
from trimwatt.errors import TrialFailed
from trimwatt.meter import pick
from trimwatt.recipe import Recipe
from trimwatt.scenario import Scenario
from trimwatt.study import setup
from trimwatt.study.bench import Bench, Floor
from trimwatt.study.candidate import Candidate
from trimwatt.study.workshop import Made, Workshop
from trimwatt.workload import Array, Workload

DATA = Path(os.environ.get("TRIMWATT_DATA", _record.ROOT.parent / "shared" / "data"))
PLAIN = "onnxruntime fp32"
RESULTS = _record.ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Case:
    """A model and its data, as `trimwatt optimize` is given them. kind: which chains suit it."""

    model: str | None
    data: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    metric: str | None = None
    baseline: str | None = None


CASES = {
    "resnet20": Case("examples.resnet20:build", "cifar10_jpeg_dev.zip", "cnn", {"val_from": "test"}),
    "small_cnn": Case("examples.small_cnn:build", "pneumoniamnist.npz", "picture"),
    "mobilenet_v2": Case("examples.mobilenet_v2:build", "pneumoniamnist.npz", "picture"),
    "mlp_adult": Case(None, "adult.csv.gz", "mlp", {"target": "income"}, baseline="mlp-torch"),
    "gru_occupancy": Case("examples.gru_occupancy:build", "examples.gru_occupancy:data", "gru"),
    "minilm_banking77": Case("examples.minilm_banking77:build", "examples.minilm_banking77:data", "encoder"),
}


def job(case: Case) -> tuple[Workload, Candidate]:
    """The workload and its baseline."""
    data = case.data if ":" in case.data else str(DATA / case.data)
    rows, _ = inputs.load(data, task="auto", seed=0, as_stored=case.model is not None, **case.options)
    scenario = Scenario(1, 1, "dict" if rows.named else "array")
    base = setup.workload(
        case.model, rows, metric_name=case.metric, positive=None, scenario=scenario, seed=0, train=False
    )
    return base, setup.baseline(base, case.baseline)


class Trials:
    """Makes, judges and compares the candidates of one case."""

    def __init__(self, base: Workload, first: Candidate, folder: Path, server: ForkServer) -> None:
        self.base, self.first, self.folder = base, first, folder
        memory = 0.7 * psutil.virtual_memory().available
        self.workshop = Workshop(base, folder / "work", server, memory)
        self.bench = Bench(base, pick.pick(), Floor(0.01, None), memory)
        self.rng = np.random.default_rng(0)
        self.made: dict[str, Made] = {}
        self.eager, self._eager_val = self._arm("eager", first)
        self.bench.baseline = self.eager
        self.test = self.bench.check_host(self.made["eager"].whole(), 10.0)
        self.plain, _ = self._arm(PLAIN, Candidate(first.recipe, "onnxruntime"))

    def _arm(self, name: str, candidate: Candidate) -> tuple[SessionArm, Array]:
        self.made[name] = self.workshop.make(candidate.recipe, candidate.runtime, self.folder / name, 3600)
        arm = self.bench.open(self.made[name].whole(), name)
        return arm, self.bench.predictions(arm, self.base.rows.val)

    def row(self, name: str, recipe: Recipe, runtime: str) -> dict[str, Any]:
        """All that is known of one candidate; where it fails, why."""
        started = time.monotonic()
        try:
            arm, answers = self._arm(name, Candidate(recipe, runtime))
        except TrialFailed as error:
            return {"name": name, "status": "failed", "reason": str(error)}
        with arm:
            judged = self.bench.judge(self.base.rows.val, answers, self._eager_val)
            ratios = {"eager": self._against(arm, self.eager), "onnxruntime": self._against(arm, self.plain)}
            made = self.made[name]
            return {
                "name": name, "status": "done", "runtime": runtime, "quality": asdict(judged.quality),
                "meets_floor": judged.meets, "floor_test": judged.floor_test,
                "ratio": {key: _ratio(ratio) for key, ratio in ratios.items()},
                "cpu_s": ratios["eager"].a.cpu_s, "size_bytes": made.whole().size_bytes,
                "peak_rss_bytes": arm.peak_rss_bytes(), "parameters": made.outcome.parameters,
                "macs": made.outcome.macs, "cost": made.cost and made.cost.to_dict(),
                "took_s": round(time.monotonic() - started, 1),
                "verdict": _verdict(judged.meets, ratios["onnxruntime"], made, self.made[PLAIN]),
            }  # fmt: skip

    def references(self) -> dict[str, Any]:
        """The two arms that all others are compared with."""
        ratio = self._against(self.plain, self.eager)
        judged = self.bench.judge(self.base.rows.val, self._eager_val, self._eager_val)
        sizes = {name: self.made[name].whole().size_bytes for name in ("eager", PLAIN)}
        cost = self.made["eager"].cost
        return {
            "quality": asdict(judged.quality), "metric": self.base.quality.name, "floor": judged.floor,
            "rows": {name: len(getattr(self.base.rows, name)) for name in ("train", "val", "test")},
            "cpu_s": {"eager": ratio.b.cpu_s, PLAIN: ratio.a.cpu_s}, "ratio": _ratio(ratio), "size_bytes": sizes,
            "peak_rss_bytes": {"eager": self.eager.peak_rss_bytes(), PLAIN: self.plain.peak_rss_bytes()},
            "parameters": self.made[PLAIN].outcome.parameters, "cost": cost and cost.to_dict(),
        }  # fmt: skip

    def _against(self, arm: SessionArm, other: SessionArm) -> Comparison:
        return comparer.compare(arm, other, self.rng, self.bench.plan, meter=self.bench.meter, self_test=self.test)

    def tested(self, name: str, runtime: str) -> dict[str, Any]:
        """What it and the untouched model reach on the test rows."""
        rows = self.base.rows.test
        with self.bench.open(self.made[name].whole(), name) as arm:
            after, before = self.bench.predictions(arm, rows), self.bench.predictions(self.eager, rows)
        judged = self.bench.judge(rows, after, before)
        untouched = self.bench.judge(rows, before, before).quality
        return {
            "name": name, "runtime": runtime, "quality": asdict(judged.quality), "untouched": asdict(untouched),
            "within_a_point": judged.meets,
        }  # fmt: skip


def _ratio(found: Comparison) -> dict[str, Any]:
    return {"value": found.ratio, "low": found.low, "high": found.high, "pairs": found.pairs, "verdict": found.verdict}


def _verdict(meets: bool, to_plain: Comparison, made: Made, plain: Made) -> str:
    """In words: beside the same model in ONNX Runtime, float32."""
    if not meets:
        return "below the floor"
    if to_plain.verdict in ("less", "more"):
        return {"less": "saves", "more": "hurts"}[to_plain.verdict]
    return "only shrinks" if made.whole().size_bytes < 0.9 * plain.whole().size_bytes else "saves nothing"


def run(name: str, only: str) -> dict[str, Any]:
    """The table of one case."""
    folder = Path(tempfile.mkdtemp(prefix="trimwatt-levers-"))
    server = ForkServer(["trimwatt.study.worker", "torch", "torch._dynamo", "torch_pruning", "onnxruntime"])
    try:
        base, first = job(CASES[name])
        trials, rows = Trials(base, first, folder, server), []
        core = tuple(step for step in first.recipe if step.name != "threshold")
        for label, make, runtime in chains(CASES[name].kind):
            if re.search(only, label):
                rows.append(_told(trials.row(label, _recipe(core, make), runtime)))
        good = [row for row in rows if row.get("verdict") == "saves"]
        sure = [row for row in good if row["floor_test"] == "proven"]
        best = {"best": _cheapest(good), "safest": _cheapest(sure)}
        return {
            "case": name, "self_test": trials.test.to_dict(), "references": trials.references(), "rows": rows,
            **{what: row and trials.tested(row["name"], row["runtime"]) for what, row in best.items()},
        }  # fmt: skip
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def _cheapest(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return min(rows, key=lambda row: row["ratio"]["onnxruntime"]["value"], default=None)


def _recipe(core: Recipe, make: Callable[[], Recipe]) -> Recipe:
    return (*core, *make())


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """The row, said as it comes."""
    if row["status"] != "done":
        print(f"{row['name']:48} failed: {row['reason'][:110]}", flush=True)
        return row
    eager, plain = row["ratio"]["eager"], row["ratio"]["onnxruntime"]
    print(
        f"{row['name']:48} {row['quality']['value']:.4f} {eager['value']:7.4f} of eager"
        f" {plain['value']:7.4f} [{plain['low']:.4f}, {plain['high']:.4f}] of ORT  {row['verdict']}", flush=True,
    )  # fmt: skip
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=sorted(CASES))
    parser.add_argument("--only", default="", help="candidates whose name matches this expression")
    parser.add_argument("--list", action="store_true", help="name the candidates and end")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(label for label, _, _ in chains(CASES[asked.case].kind)))
        return 0
    started = time.monotonic()
    found = run(asked.case, asked.only)
    record = {
        "name": f"levers_{asked.case}", "command": _record.tidy(" ".join(["python", *sys.argv])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "host": _record.host(), "wall_s": round(time.monotonic() - started, 1), **found,
    }  # fmt: skip
    target = RESULTS / f"levers_{asked.case}.json"
    target.write_text(_record.tidy(json.dumps(record, indent=1, allow_nan=False)) + "\n", encoding="utf-8")
    print(f"recorded in {target.relative_to(_record.ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
