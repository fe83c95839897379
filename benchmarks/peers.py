"""The same lever by trimwatt and by the best-known other tool: same model, rows, training and runtime, same run.

    python benchmarks/peers.py CASE [CASE ...] [--only REGEX]

Both make a network from the same one; where one trains, so does the other, alike. Both are opened in ONNX Runtime as
they would be deployed (torchao only runs in PyTorch) and compared in random pairs, batch 1, one thread, those of the
first seed; quality is that of validation and test rows together, of a chain, whose parts were chosen by the former, of
test rows alone. Where both train it is the mean over several seeds of that training. What is not installed or fails is
a row that says so. Written to results/peers.json, a case at a time.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

import _peers
import _record
import _seeds
import numpy as np
from _levers import AGAIN, INT8, TUNE, Step
from levers import CASES, RESULTS, job

from trimwatt import runtime
from trimwatt.compare import comparer
from trimwatt.compare.arms import Limits, SessionArm
from trimwatt.compare.plan import Plan
from trimwatt.framework.onnx import lower
from trimwatt.meter import pick
from trimwatt.technique import apply, registry
from trimwatt.workload import Array, Split, Workload

MEMORY, TARGET = 8e9, RESULTS / "peers.json"
# a training of ResNet-20 takes a minute
SEEDS = {"cnn": 3, "picture": 8, "mlp": 8, "encoder": 1}
ALL: Step = ("prune-channels", {"scope": "all"})
# half of the channels as ranks, as tensorly is told, leaves 0.36 of the multiplications of a 3x3 convolution
RANKS: Step = ("tucker", {"rank": "budget", "keep": 0.36})
Peer = Callable[[Workload], Workload]


@dataclass(frozen=True)
class Pair:
    """A lever: our steps, and theirs, each from the given network; `tuned` from the one fine-tuned before."""

    lever: str
    ours: tuple[Step, ...]
    peer: str
    theirs: tuple[Step | Peer, ...]
    tuned: bool = False


STATIC = (
    Pair("static int8", (INT8,), "onnxruntime", (_peers.ort_static,)),
    Pair("static int8", (INT8,), "onnxruntime as advised", (_peers.ort_static_advised,)),
    Pair("static int8", (INT8,), "nncf", (_peers.nncf,)),
)
CNN = (
    *STATIC,
    Pair("half of all channels", (ALL, AGAIN), "torch-pruning", (_peers.torch_pruning, AGAIN), True),
    Pair("tucker", (RANKS, AGAIN), "tensorly", (_peers.tensorly, AGAIN), True),
)  # fmt: skip
THEIR_CHAIN = (_peers.torch_pruning, AGAIN, _peers.ort_static_advised)
OUR_CHAINS: dict[str, tuple[Step, ...]] = {
    "cnn": (("prune-blocks", {"share": 0.4}), AGAIN, INT8),
    "picture": (("prune-channels", {"share": 0.25}), AGAIN, INT8),
}
MLP = (
    *STATIC,
    Pair("dynamic int8", (("dynamic-int8", {}),), "onnxruntime", (_peers.ort_dynamic,)),
    Pair("dynamic int8", (("dynamic-int8", {}),), "torchao", (_peers.torchao,)),
    Pair("half of all channels", (ALL, AGAIN), "torch-pruning", (_peers.torch_pruning, AGAIN)),
    Pair(
        "chain", (("prune-channels", {"share": 0.75}), AGAIN, INT8),
        "torch-pruning, onnxruntime", THEIR_CHAIN,
    ),
)  # fmt: skip
ENCODER = (
    Pair("dynamic int8", (("dynamic-int8", {}),), "onnxruntime", (_peers.ort_dynamic,)),
    Pair("dynamic int8", (("dynamic-int8", {}),), "torchao", (_peers.torchao,)),
)
PAIRS = {
    **{
        kind: (*CNN, Pair("chain", ours, "torch-pruning, onnxruntime", THEIR_CHAIN, True))
        for kind, ours in OUR_CHAINS.items()
    },
    "mlp": MLP, "encoder": ENCODER,
}  # fmt: skip


def made(workload: Workload, steps: tuple[Step | Peer, ...]) -> Workload:
    """The workload after all steps, as it would be deployed: in ONNX, but for what only PyTorch runs."""
    done = reduce(_step, steps, workload)
    return done if steps[-1:] == (_peers.torchao,) else lower(done)


def _step(workload: Workload, step: Step | Peer) -> Workload:
    if callable(step):
        return step(workload)
    technique = registry()[step[0]](**step[1])
    onnx = "torch" not in technique.needs and "onnx" in technique.needs
    return apply(technique, lower(workload) if onnx else workload)


class Arms:
    """Opens and compares the networks of one case."""

    def __init__(self, base: Workload, folder: Path, seeds: int) -> None:
        self.base, self.folder, self.seeds, self.meter = base, folder, seeds, pick.pick()
        self.rng, self.opened = np.random.default_rng(0), 0
        self.sizes: dict[str, int] = {}

    def open(self, workload: Workload) -> SessionArm:
        """In a process of its own, with validation rows to answer."""
        self.opened += 1
        target = self.folder / str(self.opened)
        target.mkdir()
        onnx = workload.form == "onnx"
        artifact = runtime.get("onnxruntime").export(workload, target) if onnx else _peers.live(workload, target)
        self.sizes[str(self.opened)] = artifact.size_bytes
        rows = self.base.rows.val.sample(512, 0).x
        return SessionArm(artifact, self.base.scenario, rows, Limits(MEMORY, 120, 120), name=str(self.opened))

    def row(self, pair: Pair, start: Workload) -> dict[str, Any]:
        """What both make of `start`, compared."""
        told = {"lever": pair.lever, "peer": pair.peer, "steps": [_said(s) for s in pair.theirs]}
        starts = [replace(start, seed=seed) for seed in range(self.seeds if AGAIN in pair.ours else 1)]
        with ExitStack() as stack:
            try:
                theirs = [stack.enter_context(self.open(made(one, pair.theirs))) for one in starts]
            except Exception as error:  # whatever another tool raises is what there is to say of it
                return {**told, "status": "failed", "reason": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
            ours = [stack.enter_context(self.open(made(one, pair.ours))) for one in starts]
            arms = list(zip(ours, theirs, strict=True))
            ratio = comparer.compare(*arms[0], self.rng, Plan(), meter=self.meter)
            quality = self.quality(pair, arms)
        return {
            **told, "status": "done", "ours": [_said(s) for s in pair.ours], "seeds": len(arms),
            "time_ours_over_theirs": {"value": ratio.ratio, "low": ratio.low, "high": ratio.high, "pairs": ratio.pairs},
            "cpu_s": [ratio.a.cpu_s, ratio.b.cpu_s], "size_bytes": [self.sizes[arm.name] for arm in arms[0]], **quality,
        }  # fmt: skip

    def quality(self, pair: Pair, arms: list[tuple[SessionArm, SessionArm]]) -> dict[str, Any]:
        """The metric of both, means over seeds, and the difference with its 95 % interval."""
        rows, metric = self.base.rows, self.base.quality
        # what a chain is made of was chosen by validation rows
        parts = [rows.test] if pair.lever == "chain" else [rows.val, rows.test]
        answers = [[np.concatenate([_answers(arm, self.base, p) for p in parts]) for arm in both] for both in arms]
        truth = np.concatenate([part.y for part in parts])

        def gap(index: Array, seed: int) -> float:
            ours, theirs = (metric(truth[index], said[index]) for said in answers[seed])
            return ours - theirs

        found = np.mean([[metric(truth, said) for said in both] for both in answers], axis=0)
        gain = _seeds.gained(gap, len(truth), len(answers))
        return {"metric": metric.name, "rows": len(truth), "quality": found.tolist(), "quality_gained": gain}


def _answers(arm: SessionArm, base: Workload, part: Split) -> Array:
    classes = base.rows.classes
    if base.quality.reads == "probabilities" or classes is None:
        return arm.scores(part.x)
    codes = {label: code for code, label in enumerate(classes)}
    return np.array([codes[label] for label in arm.predict(part.x).tolist()])


def _said(step: Step | Peer) -> str:
    return step.__name__ if callable(step) else " ".join([step[0], *(f"{k}={v}" for k, v in step[1].items())])


def run(name: str, only: str) -> list[dict[str, Any]]:
    """The rows of one case."""
    base, first = job(CASES[name])
    core = tuple(step for step in first.recipe if step.name != "threshold")
    base = reduce(lambda workload, step: apply(step, workload), core, base)
    tuned = None
    with tempfile.TemporaryDirectory() as folder:
        arms, rows = Arms(base, Path(folder), SEEDS[CASES[name].kind]), []
        for pair in PAIRS[CASES[name].kind]:
            if not re.search(only, f"{pair.lever} {pair.peer}"):
                continue
            if pair.tuned and tuned is None:
                tuned = _step(base, TUNE)
            start = tuned if pair.tuned and tuned is not None else base
            rows.append(arms.row(pair, replace(start, data=base.data)))
            _tell(rows[-1])
    return rows


def _tell(row: dict[str, Any]) -> None:
    what = f"{row['lever']:22} {row['peer']:28}"
    if row["status"] != "done":
        print(f"{what} failed: {row['reason'][:100]}", flush=True)
        return
    time, gap = row["time_ours_over_theirs"], row["quality_gained"]
    print(
        f"{what} {time['value']:.3f} [{time['low']:.3f}, {time['high']:.3f}] of its time,"
        f" quality {gap['value']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]", flush=True,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=sorted(name for name, case in CASES.items() if case.kind in PAIRS))
    parser.add_argument("--only", default="", help="pairs whose lever and peer match this expression; writes no record")
    asked = parser.parse_args()
    record = {
        "name": "peers", "command": _record.tidy(" ".join(["python", *sys.argv])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "host": _record.host(), "peers": _record.versions(("nncf", "torchao", "tensorly", "torch-pruning")),
        "cases": {},
    }  # fmt: skip
    for case in asked.cases:
        print(f"{case}:", flush=True)
        record["cases"][case] = run(case, asked.only)
        if not asked.only:
            text = _record.tidy(json.dumps(record, indent=1, allow_nan=False))
            TARGET.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
