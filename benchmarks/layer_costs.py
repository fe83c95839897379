"""Widths chosen from measured layer costs, beside the same share of every layer, at equal measured time.

    python benchmarks/layer_costs.py resnet20 [--precision int8] [--share 0.5] [--epochs 3] [--seeds 3] [--rows N]

Each layer is measured at several widths in ONNX Runtime on this host. Then three networks are made of the given one:
uniform (prune-channels, the same share everywhere), budget (prune-budget, told to take no more time than uniform was
measured to take) and whole; all are fine-tuned alike, from as many seeds as asked, timed in rounds of random order by
CPU clock at batch 1 and one thread, and judged on validation and test rows together, as nothing is chosen by them,
as pruned (normalization estimated anew, nothing trained) and as fine-tuned. The latter are means over seeds; the
interval of their difference is over rows and seeds. Written to results/layer_costs_NAME_PRECISION_SHARE.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import _record
import _seeds
import numpy as np
from levers import CASES, RESULTS, job

from trimwatt import framework
from trimwatt.errors import TrialFailed
from trimwatt.framework.onnx import lower
from trimwatt.profile import layers
from trimwatt.technique._base import apply
from trimwatt.technique.prune.budget import PruneBudget
from trimwatt.technique.prune.channels import PruneChannels
from trimwatt.technique.prune.sensitivity import layer_sensitivity
from trimwatt.technique.quantize import StaticInt8
from trimwatt.technique.train import FineTune
from trimwatt.workload import Array, Workload

ROUNDS, BLOCK = 40, 0.01
IMPORTANCE, TRIES = "taylor", 5
LEFT = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)


def deployed(workload: Workload, int8: bool) -> Workload:
    """As it would run: in ONNX, in int8 where that is asked."""
    core = lower(workload)
    return apply(StaticInt8(), core) if int8 else core


def seconds(workloads: dict[str, Workload]) -> dict[str, Array]:
    """CPU seconds (rounds,) of a request to each, timed in rounds of random order."""
    asks = {name: layers.asking(workload) for name, workload in workloads.items()}
    return layers.timed(asks, ROUNDS, BLOCK, 1, 0)


def ratio(one: Array, other: Array) -> dict[str, float]:
    """Median ratio of rounds, with its 95 % bootstrap interval."""
    found = one / other
    draws = np.random.default_rng(0).choice(found, (2000, len(found)))
    low, high = np.quantile(np.median(draws, axis=1), (0.025, 0.975))
    return {"value": float(np.median(found)), "low": float(low), "high": float(high)}


def within(base: Workload, costs: Any, uniform: Workload, int8: bool) -> tuple[PruneBudget, Workload]:
    """The technique that takes as much measured time as `uniform` at most, and its network."""
    whole = deployed(base, int8)
    seen = layer_sensitivity(base, [1 - share for share in LEFT])
    losses = tuple((layer, kept, round(loss, 4)) for layer, kept, loss, _ in seen.rows)
    spent = seconds({"uniform": deployed(uniform, int8), "whole": whole})
    aim = float(np.median(spent["uniform"] / spent["whole"]))
    low, high, best = 0.0, 1.0, None
    share = aim
    for _ in range(TRIES):
        technique = PruneBudget(round(share, 3), costs.rows, costs.rest_s, losses=losses)
        try:
            made = apply(technique, base)
        except TrialFailed as error:
            print(f"asked for {share:.3f} of the time: {error}", flush=True)
            low, share = share, (share + high) / 2
            continue
        spent = seconds({"made": deployed(made, int8), "whole": whole})
        got = float(np.median(spent["made"] / spent["whole"]))
        print(f"asked for {share:.3f} of the time, got {got:.3f}, uniform takes {aim:.3f}", flush=True)
        if got <= aim * 1.01:
            low = share
            best = max(best or (0.0, technique, made), (got, technique, made), key=lambda one: one[0])
        else:
            high = share
        share = min((low + high) / 2, share * aim / got) if got > aim else (low + min(high, low * 1.2)) / 2
    if best is None:
        raise SystemExit(f"no choice of widths takes {aim:.3f} of the time or less")
    return best[1:]


def widths(workload: Workload) -> dict[str, int]:
    """Output channels of each convolution and dense layer."""
    named = workload.model.named_modules()
    found = {name: getattr(part, "out_channels", getattr(part, "out_features", None)) for name, part in named}
    return {name: width for name, width in found.items() if width is not None}


def correct(workload: Workload) -> Array:
    """1 for each validation and test row that is answered rightly, else 0."""
    data, read = workload.rows, framework.get("onnx")
    right = [read.scores(workload, rows.x).argmax(1) == rows.y for rows in (data.val, data.test)]
    return np.concatenate(right).astype(np.float64)


def gained(one: Array, other: Array) -> dict[str, float]:
    """Mean of `one` less that of `other`, both (seeds, rows) of the same seeds, with its 95 % interval."""
    gap = one - other
    return _seeds.gained(lambda index, seed: float(gap[seed, index].mean()), gap.shape[1], len(gap))


def tuned(workload: Workload, epochs: int, seeds: int, int8: bool) -> tuple[Workload, Array]:
    """As deployed after fine-tuning, of the first seed, and whether each row is answered rightly, (seeds, rows)."""
    tune = FineTune(epochs=epochs, max_seconds=None)
    made = [deployed(apply(tune, replace(workload, seed=seed)), int8) for seed in range(seeds)]
    return made[0], np.stack([correct(one) for one in made])


def run(asked: argparse.Namespace) -> dict[str, Any]:
    base, _ = job(CASES[asked.case])
    int8 = asked.precision == "int8"
    if asked.rows:
        base = replace(base, data=replace(base.rows, train=base.rows.train.sample(asked.rows, 0)))
    started = time.process_time()
    costs = layers.measure(base, asked.precision, shares=LEFT)
    measuring = time.process_time() - started
    uniform = apply(PruneChannels(asked.share, importance=IMPORTANCE, round_to=4), base)
    technique, budget = within(base, costs, uniform, int8)
    networks = {"whole": base, "uniform": uniform, "budget": budget}
    done = {name: tuned(workload, asked.epochs, asked.seeds, int8) for name, workload in networks.items()}
    spent, right = seconds({name: made for name, (made, _) in done.items()}), {name: r for name, (_, r) in done.items()}
    pruned = {name: correct(deployed(workload, int8)) for name, workload in networks.items()}
    return {
        "precision": asked.precision, "measuring_cpu_s": round(measuring, 1), "costs": costs.to_dict(),
        "budget_share": technique.share, "epochs": asked.epochs, "seeds": asked.seeds,
        "judged_rows": len(right["whole"][0]), "train_rows": len(base.rows.train),
        "networks": {
            name: {
                "accuracy": float(right[name].mean()), "as_pruned": float(pruned[name].mean()),
                "cpu_s": float(np.median(spent[name])), "of_whole": ratio(spent[name], spent["whole"]),
                "widths": widths(network), "macs": framework.get("torch").macs(network),
                "parameters": framework.get("torch").parameters(network),
            }
            for name, network in networks.items()
        },
        "budget_over_uniform": ratio(spent["budget"], spent["uniform"]),
        "gained_as_pruned": gained(pruned["budget"][None], pruned["uniform"][None]),
        "accuracy_gained": gained(right["budget"], right["uniform"]),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=sorted(CASES))
    parser.add_argument("--precision", choices=("float32", "int8"), default="float32")
    parser.add_argument("--share", type=float, default=0.5, help="of each layer's channels that uniform removes")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3, help="fine-tunings of each network")
    parser.add_argument("--rows", type=int, default=0, help="train on so many rows only")
    parser.add_argument("--try", dest="trial", action="store_true", help="print, write no record")
    asked = parser.parse_args()
    found = run(asked)
    for name, network in found["networks"].items():
        of = network["of_whole"]
        between = f"{of['value']:.3f} [{of['low']:.3f}, {of['high']:.3f}] of whole"
        print(f"{name:8} accuracy {network['accuracy']:.4f}  {between}  macs {network['macs']:,}")
    print("budget over uniform", found["budget_over_uniform"])
    print("accuracy gained as pruned", found["gained_as_pruned"], "as tuned", found["accuracy_gained"])
    if asked.trial:
        return 0
    name = f"layer_costs_{asked.case}_{asked.precision}_{asked.share:g}"
    record = {
        "name": name, "command": _record.tidy(" ".join(["python", *sys.argv])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "host": _record.host(), **found,
    }  # fmt: skip
    text = _record.tidy(json.dumps(record, indent=1, allow_nan=False))
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
