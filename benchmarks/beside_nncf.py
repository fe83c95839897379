"""What trimwatt recommends beside NNCF's post-training quantization, in ONNX Runtime and in OpenVINO.

python benchmarks/beside_nncf.py --env FOLDER [--budget 3min] [--cases ...]

FOLDER is a virtual environment that holds nncf, onnx, onnxruntime and openvino. For the published ResNet-20 and for a
small CNN in ONNX that trimwatt knows nothing about: a study within the budget, then its recommendation against NNCF's
int8 of the same model, pairs of blocks in random order, accuracy on the same test rows. Writes results/nncf.json; ends
with code 1 where the recommendation is dearer, or cheaper only by giving up more accuracy than the study may.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _record
import _seeds
import make_unknown_onnx
import numpy as np
import psutil
import torch

from trimwatt import input as inputs
from trimwatt import optimize, runtime
from trimwatt.compare import comparer
from trimwatt.compare.arms import Limits, SessionArm
from trimwatt.compare.plan import Plan
from trimwatt.framework.onnx import _edit, lower
from trimwatt.meter import pick
from trimwatt.runtime import deployed
from trimwatt.runtime._base import Artifact
from trimwatt.scenario import Scenario
from trimwatt.study import setup
from trimwatt.technique import _graph
from trimwatt.workload import Array, Workload

TARGET = _record.ROOT / "benchmarks" / "results" / "nncf.json"
DATA = Path(os.environ.get("TRIMWATT_DATA") or _record.ROOT.parent / "shared" / "data")
MAX_DROP, CALIBRATION = 0.01, 300
BACKENDS = ("onnx", "openvino")


@dataclass(frozen=True)
class Case:
    """A model, its data, and how they are split."""

    model: str
    data: str
    options: dict[str, Any]


def cases(folder: Path) -> dict[str, Case]:
    """The cases by name; files of the second are made in `folder`."""
    # a barrier between threads takes minutes on a host whose cores are taken
    torch.set_num_threads(1)
    make_unknown_onnx.main(folder)
    return {
        "resnet20": Case("examples.resnet20:build", str(DATA / "cifar10_jpeg_dev.zip"), {"val_from": "test"}),
        "foreign_cnn": Case(str(folder / "model.onnx"), str(folder / "digits.npz"), {}),
    }


def job(case: Case) -> Workload:
    """The model as given, with the rows that the study has too."""
    rows, _ = inputs.load(case.data, task="auto", seed=0, as_stored=True, **case.options)
    return setup.workload(
        case.model, rows, metric_name=None, positive=None, scenario=Scenario(1, 1, "array"), seed=0, train=False
    )


class OpenVinoArm(SessionArm):
    """NNCF's model for OpenVINO, in a process of its own."""

    def __init__(self, model: Path, labels: Path, base: Workload, name: str) -> None:
        names = json.loads(labels.read_text()) if labels.is_file() else None
        given = model, names, base.scenario, _requests(base)
        super(SessionArm, self).__init__("_nncf_arm:serve", given, name, _limits())


def opened(artifact: Artifact, base: Workload, name: str) -> SessionArm:
    """An artifact in a process of its own, with validation rows to answer."""
    return SessionArm(artifact, base.scenario, _requests(base), _limits(), name=name)


def _requests(base: Workload) -> Any:
    return base.rows.val.sample(512, 0).x


def _limits() -> Limits:
    return Limits(0.7 * psutil.virtual_memory().available)


def peers(base: Workload, env: Path, folder: Path) -> Iterator[SessionArm]:
    """NNCF's int8 of the model as given, for each runtime."""
    core, place = lower(base), folder / "onnx"
    place.mkdir()
    (entry,) = _edit.free_inputs(_edit.load(core.model))
    (place / "core.onnx").write_bytes(core.model)
    given = _graph.feeds(core, _graph.sample(core, CALIBRATION), [entry.name])
    _quantize(env, "onnx", place / "core.onnx", given, place / "int8.onnx")
    quantized = replace(core, model=(place / "int8.onnx").read_bytes())
    yield opened(runtime.get("onnxruntime").export(quantized, place), base, "onnx")

    place = folder / "openvino"
    place.mkdir()
    runtime.get("openvino").export(base, place)
    stored = {"x": base.rows.train.sample(CALIBRATION, 0).x}
    _quantize(env, "openvino", place / "model.onnx", stored, place / "int8.xml")
    yield OpenVinoArm(place / "int8.xml", place / "labels.json", base, "openvino")


def _quantize(env: Path, backend: str, source: Path, rows: dict[str, Any], target: Path) -> None:
    given = target.parent / "rows.npz"
    np.savez(given, **rows)
    script = Path(__file__).with_name("_nncf_quantize.py")
    command = [str(env / "bin" / "python"), str(script), backend, str(source), str(given), str(target)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def run(case: Case, asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One case: the study, then its recommendation beside each peer and the model as given."""
    base = job(case)
    study = optimize(
        case.model, data=case.data, max_drop=MAX_DROP, budget=asked.budget, output=folder / "study", **case.options
    ).to_dict()  # fmt: skip
    chosen = next(trial for trial in study["trials"] if trial["id"] == study["recommended"])
    print(f"  {study['verdict']}", flush=True)
    plain = folder / "plain"
    plain.mkdir()
    with ExitStack() as stack:
        given = stack.enter_context(opened(runtime.get("onnxruntime").export(base, plain), base, "as given"))
        artifact = deployed.load(folder / "study" / "artifact", True).artifact
        ours = stack.enter_context(opened(artifact, base, chosen["name"]))
        arms = [stack.enter_context(arm) for arm in peers(base, asked.env, folder)]
        rows = [_row(base, ours, arm, given) for arm in (*arms, given)]
    return {
        "verdict": study["verdict"], "recommended": chosen["name"], "runtime": chosen["runtime"],
        "floor_test": chosen["floor_test"], "trials": len(study["trials"]), "test_rows": len(base.rows.test),
        "load_after": os.getloadavg()[0], "beside": rows,
    }  # fmt: skip


def _row(base: Workload, ours: SessionArm, theirs: SessionArm, given: SessionArm) -> dict[str, Any]:
    """What `ours` takes of `theirs`, and how much more it gets right."""
    load = os.getloadavg()[0]
    found = comparer.compare(ours, theirs, np.random.default_rng(0), Plan(), meter=pick.pick())
    right = [_right(arm, base) for arm in (ours, theirs, given)]

    def gap(of: int, over: int) -> dict[str, float]:
        return _seeds.gained(lambda index, _: float(np.mean(right[of][index] - right[over][index])), len(right[0]), 1)

    gained = gap(0, 1)
    row = {
        "peer": theirs.name, "basis": found.basis, "load_before": load,
        "ratio": {"value": found.ratio, "low": found.low, "high": found.high, "pairs": found.pairs},
        "cpu_s": [found.a.cpu_s, found.b.cpu_s], "accuracy": [float(part.mean()) for part in right[:2]],
        "accuracy_gained": gained, "peer_gained_over_given": gap(1, 2),
        "dearer": found.low > 1, "equal": gained["value"] >= -MAX_DROP,
    }  # fmt: skip
    print(
        f"  to {theirs.name:10} {found.ratio:.3f} [{found.low:.3f}, {found.high:.3f}] of its time, accuracy "
        f"{gained['value']:+.4f} [{gained['low']:+.4f}, {gained['high']:+.4f}]", flush=True,
    )  # fmt: skip
    return row


def _right(arm: SessionArm, base: Workload) -> Array:
    """1 for each test row that is labelled right."""
    labels = np.asarray(base.rows.classes)[base.rows.test.y]
    return np.asarray(arm.predict(base.rows.test.x).astype(str) == labels.astype(str), dtype=np.float64)


def _version(env: Path) -> str:
    code = "from importlib import metadata; print(metadata.version('nncf'))"
    return subprocess.run(
        [str(env / "bin" / "python"), "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", type=Path, required=True, help="virtual environment that holds nncf")
    parser.add_argument("--budget", default="3min", help="of each study")
    parser.add_argument("--cases", nargs="+", choices=("resnet20", "foreign_cnn"), default=["resnet20", "foreign_cnn"])
    asked = parser.parse_args()
    os.chdir(_record.ROOT)
    record = {
        "name": "nncf", "command": _record.tidy(f"python benchmarks/beside_nncf.py --env ENV --budget {asked.budget}"),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "host": _record.host(), "nncf": _version(asked.env), "openvino": _record.versions(("openvino",)),
        "max_drop": MAX_DROP, "cases": {},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        known = cases(Path(folder) / "foreign")
        for name in asked.cases:
            print(f"{name}:", flush=True)
            place = Path(folder) / name
            place.mkdir()
            record["cases"][name] = run(known[name], asked, place)
            TARGET.write_text(_record.tidy(json.dumps(record, indent=1, allow_nan=False)) + "\n", encoding="utf-8")
    beside = [row for case in record["cases"].values() for row in case["beside"]]
    return 1 if any(row["dearer"] or not row["equal"] for row in beside) else 0


if __name__ == "__main__":
    sys.exit(main())
