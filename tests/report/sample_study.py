"""A study.json as a real run leaves it, and its awkward relatives: hostile names, no end, no energy."""

from __future__ import annotations

import copy
from typing import Any

HOSTILE = "<script>alert(1)</script>"

Study = dict[str, Any]


def energy(joules: float, spread: float = 1.6, origin: str = "estimated") -> dict[str, Any]:
    return {"joules": joules, "low": joules / spread, "high": joules * spread, "origin": origin}


def quality(value: float, half: float, rows: int = 4884, metric: str = "f1", greater: bool = True) -> dict[str, Any]:
    return {
        "metric": metric, "value": value, "low": value - half, "high": value + half, "rows": rows,
        "greater_is_better": greater,
    }  # fmt: skip


def ratio(value: float, half: float = 0.03, pairs: int = 20, verdict: str | None = None) -> dict[str, Any]:
    verdict = verdict or ("less" if value < 1 else "more")
    low, high = value * (1 - half), value * (1 + half)
    gross = {"value": value * 1.02, "low": low * 1.02, "high": high * 1.02}
    return {
        "value": value, "low": low, "high": high, "pairs": pairs, "verdict": verdict, "basis": "cpu_seconds",
        "gross": gross,
    }  # fmt: skip


def trial(number: int, name: str, family: str, recipe: list[dict[str, Any]], runtime: str, **rest: Any) -> Study:
    blank = {
        "status": "done", "reason": None, "started": "2026-03-02T10:00:00Z", "finished": "2026-03-02T10:00:09Z",
        "meets_floor": False, "floor_test": None, "on_front": False, "quality": None, "test_quality": None,
        "energy_per_prediction": None, "cpu_s_per_prediction": None, "ratio_to_baseline": None,
        "latency_s": None, "size_bytes": None, "peak_rss_bytes": None, "parameters": None, "macs": None, "cost": None,
        "floor_margin": 0.011, "notes": [],
    }  # fmt: skip
    fixed = {"id": f"t{number}", "name": name, "family": family, "recipe": recipe, "runtime": runtime}
    return {**fixed, "key": f"{number:016x}", **blank, **rest}


BASE_CPU = 5.2e-3


def done(times: float, value: float, half: float, size: int, cost: float, **rest: Any) -> Study:
    """Figures of a measured row that takes `times` the baseline's energy."""
    cpu = BASE_CPU * times
    figures = {
        "quality": quality(value, half), "energy_per_prediction": energy(cpu * 4.7), "cpu_s_per_prediction": cpu,
        "ratio_to_baseline": ratio(times), "latency_s": {"p50": cpu * 1.02, "p95": cpu * 1.3}, "size_bytes": size,
        "peak_rss_bytes": 90_000_000 + size, "cost": energy(cost),
    }  # fmt: skip
    return {**figures, **rest}


BOOSTED = [{"technique": "boosted", "trees": 100, "leaves": 31}]
MLP = [{"technique": "mlp", "hidden": [64, 32], "epochs": 30}]
FOREST = [{"technique": "forest", "trees": 100, "depth": None}]
PROVEN = {"meets_floor": True, "floor_test": "proven"}
MAYBE = {"meets_floor": True, "floor_test": "not_disproven"}
BELOW = {"meets_floor": False, "floor_test": "failed"}


def _trials() -> list[Study]:
    int8 = {"technique": "static-int8", "activations": "u8", "keep_float": []}
    prune = {"technique": "prune-channels", "share": 0.5}
    return [
        trial(0, "boosted trees", "boosted", BOOSTED, "sklearn",
              **done(1.0, 0.729, 0.014, 612_000, 61.0, **PROVEN, test_quality=quality(0.726, 0.014)),
              parameters=6200) | {"ratio_to_baseline": ratio(1.0, 0.0, verdict="tied")},
        trial(1, "boosted trees, ONNX Runtime", "runtime", BOOSTED, "onnxruntime",
              **done(0.0065, 0.729, 0.014, 402_000, 63.5, **PROVEN, test_quality=quality(0.725, 0.014), on_front=True)),
        trial(2, "logistic", "linear", [{"technique": "logistic"}], "onnxruntime",
              **done(0.0061, 0.688, 0.016, 5_100, 12.0, **BELOW)),
        trial(3, "tree depth 8", "tree", [{"technique": "tree", "depth": 8}], "onnxruntime",
              **done(0.0043, 0.681, 0.016, 21_000, 3.1, **BELOW, on_front=True)),
        trial(4, "forest 100", "forest", FOREST, "sklearn", **done(1.92, 0.721, 0.015, 36_000_000, 140.0, **MAYBE)),
        trial(5, "forest 100, ONNX Runtime", "runtime", FOREST, "onnxruntime",
              **done(0.0212, 0.721, 0.015, 35_000_000, 171.0, **MAYBE)),
        trial(6, "MLP 64-32", "mlp", MLP, "onnxruntime", **done(0.0052, 0.702, 0.015, 41_000, 44.0, **BELOW),
              parameters=9200, macs=9100),
        trial(7, "MLP 64-32, int8", "quantize", [*MLP, int8], "onnxruntime",
              **done(0.0087, 0.700, 0.015, 18_000, 45.2, **BELOW), notes=["smaller but not cheaper"]),
        trial(8, "MLP 256-64, pruned, int8", "prune",
              [{"technique": "mlp", "hidden": [256, 64], "epochs": 30}, prune, {"technique": "fine-tune"}, int8],
              "onnxruntime", **done(0.0071, 0.723, 0.014, 24_000, 130.0, **MAYBE)),
        trial(9, "nearest neighbours", "neighbours", [{"technique": "neighbours", "k": 15}], "onnxruntime",
              **done(0.35, 0.64, 0.017, 14_000_000, 9.0, **BELOW)),
        trial(10, "boosted trees, categories native", "boosted", [{"technique": "boosted", "native": True}],
              "onnxruntime", status="failed", cost=energy(55.0),
              reason="the export answers differently: equal predictions 83.70%, largest error 0.98"),
        trial(11, "MLP 512-256", "mlp", [{"technique": "mlp", "hidden": [512, 256]}], "onnxruntime", status="skipped",
              reason="the budget left does not cover it"),
        trial(12, "MLP 64-32, PyTorch", "mlp", MLP, "torch", status="stopped", reason="needs torch, not installed",
              started=None, finished=None),
    ]  # fmt: skip


def _ledger() -> list[Study]:
    rows = [("prepare", None, 14.0), ("train", "t0", 61.0), ("train", "t4", 140.0), ("train", "t8", 118.0),
            ("train", "t10", 55.0), ("compress", "t7", 1.2), ("compress", "t8", 12.0), ("export", "t1", 2.5),
            ("export", "t5", 31.0), ("evaluate", None, 38.0), ("measure", None, 187.0)]  # fmt: skip
    return [
        {"stage": stage, "trial": name, **energy(j), "cpu_s": j / 4.7, "duration_s": j / 5, "step": None}
        for stage, name, j in rows
    ]


def sample() -> Study:
    """A finished study of a table: everything present that can be."""
    spent = sum(entry["joules"] for entry in _ledger())
    return {
        "schema": "trimwatt/study/1", "task": "classification", "metric": "f1",
        "duration_s": 151.2, "budget": {"amount": 180.0, "unit": "s"}, "exit_code": 0, "artifact": "artifact",
        "data": {"name": "adult", "classes": ["<=50K", ">50K"], "rows": {"train": 39074, "val": 4884, "test": 4884},
                 "input": {"kind": "table", "named": True, "shape": [], "dtype": "", "derive": {},
                           "columns": [{"name": "age", "dtype": "float32"}, {"name": "work", "dtype": "string"}]}},
        "scenario": {"batch_size": 1, "threads": 1, "request": "dict"},
        "floor": {"kind": "max_drop", "value": 0.719, "max_drop": 0.01},
        "host": {"cpu": "AMD EPYC 9B14", "cores": 2, "flags": ["avx2", "avx512f", "avx512_vnni"], "machine": "x86_64",
                 "memory_bytes": 8_200_000_000, "os": "Linux 6.1", "load_average": [0.15, 0.2, 0.1], "seed": 0,
                 "git": "4be1c02a77d1", "command": ["trimwatt", "optimize", "adult.csv.gz", "--target", "income"],
                 "versions": {"trimwatt": "0.1.0", "python": "3.11.7", "scikit-learn": "1.9.1",
                              "onnxruntime": "1.31.1"}},
        "meter": {"name": "cpu-model", "origin": "estimated",
                  "about": {"family": "Zen 4", "idle_w_per_thread": [0.283, 0.206, 0.387], "uplift": 1.25}},
        "self_test": {"ratio": 1.001, "low": 0.992, "high": 1.010, "pairs": 20, "resolution": 0.009, "pinned": True,
                      "passed": True},
        "baseline": "t0", "recommended": "t1", "confirmed": True, "tied": ["t1"], "finals": None, "untried": [],
        "verdict": "Use boosted trees, ONNX Runtime: 0.00650 times the baseline's CPU time a prediction [0.00630 to "
                   "0.00670], 154 times less; f1 0.7290 against a floor of 0.7190 (proven, 4884 validation rows "
                   "resolve 0.0110); confirmed on 4884 test rows (0.7250, the baseline 0.7260). Finding it pays back "
                   "after 2612 predictions, the whole study after 27.2 thousand.",
        "trials": _trials(), "ledger": _ledger(), "total": energy(spent),
        "payback": {"own_predictions": 2612.4, "study_predictions": 27150.0},
        "warnings": ["52 rows stand in training and test rows alike; test quality is flattered by them",
                     "column 'education' repeats what 'education-num' says"],
    }  # fmt: skip


def hostile() -> Study:
    """Every string that a user or a file can name tries to get out."""
    study = sample()
    bad = HOSTILE + "\"'--></style></title>"
    study["data"] |= {"name": bad, "classes": [bad, "b"], "input": {"columns": [{"name": bad, "dtype": bad}]}}
    study["verdict"] = study["metric"] = bad
    study["host"]["cpu"] = study["meter"]["name"] = study["host"]["git"] = study["host"]["os"] = bad
    study["host"]["command"], study["meter"]["about"] = ["trimwatt", bad], {bad: bad}
    study["host"]["versions"] = {bad: bad}
    study["warnings"] = [bad]
    study["untried"] = [bad]
    for row in study["trials"]:
        row["name"], row["family"], row["runtime"] = row["name"] + bad, bad, bad
        row["reason"] = bad if row["reason"] else None
        row["notes"], row["recipe"] = [bad], [{"technique": bad, "x": bad}]
    for entry in study["ledger"]:
        entry["step"] = bad
    return study


def partial() -> Study:
    """Killed half-way: some trials, no verdict, no pay-back."""
    study = sample()
    for name in ("verdict", "recommended", "payback", "confirmed", "self_test", "duration_s", "meter", "total"):
        study.pop(name)
    study["trials"] = study["trials"][:3]
    study["ledger"] = study["ledger"][:2]
    return study


def bare() -> Study:
    """All that may be null is null, all that may be absent is absent."""
    study = sample()
    keep = ("schema", "task", "metric", "scenario", "baseline", "trials")
    study = {name: study[name] for name in keep}
    blank = trial(0, "", "", [], "")
    for row in study["trials"]:
        row.update(
            {k: blank[k] for k in blank if k not in ("id", "name", "family", "recipe", "runtime", "key", "notes")}
        )
    return study | {"floor": None, "host": None, "recommended": None, "verdict": None, "ledger": [], "payback": None,
                    "warnings": []}  # fmt: skip


def nothing_found() -> Study:
    """The baseline wins: nothing pays back."""
    study = sample()
    study |= {"recommended": "t0", "payback": {"own_predictions": None, "study_predictions": None}}
    study["verdict"] = "Keep boosted trees: no candidate meets the floor for less energy."
    return study


def regression(measured: bool = True) -> Study:
    """Errors, where less is better, and energy from counters."""
    study = copy.deepcopy(sample())
    study |= {"task": "regression", "metric": "mae"}
    study["floor"] = {"kind": "floor", "value": 41.0}
    study["data"] |= {"classes": None}
    for row in study["trials"]:
        for name in ("quality", "test_quality"):
            if row[name]:
                row[name] = quality(round(40 + 90 * (0.73 - row[name]["value"]), 2), 0.8, metric="mae", greater=False)
        for name in ("energy_per_prediction", "cost"):
            if row[name] and measured:
                row[name] = energy(row[name]["joules"], 1.02, "measured")
        if row["ratio_to_baseline"]:
            row["ratio_to_baseline"]["basis"] = "dynamic_energy"
    return study
