"""What holds of "up to 92.16 % less energy" (Verdecchia et al. 2022, arXiv:2204.02766), from the runs its authors kept.

    .venv/bin/python benchmarks/published_claim.py ict4s22_runs.csv.gz

reads their 3,600 trainings (GreenAIproject/ICT4S22, MIT) and writes results/published_claim.json: for each learner and
each share of rows or features, the ratio of training energy to that with all of them, and the change of F1 beside it.
docs/published-claim.md tells what came out.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import _record

from trimwatt.compare import logfile, recorded

CLAIM = 1 - 0.9216
STEPS = ("preprocessing", "train", "predict")
CUTS = (("rows", "2.1", "no_datapoints"), ("features", "2.2", "no_features"))
# a loss of F1 of one point and less is called negligible here
NEGLIGIBLE = 0.01


def with_total(columns: logfile.Columns) -> logfile.Columns:
    """The log with what preparing, training and predicting took together."""
    parts = [columns[f"{step}_energy(J)"] for step in STEPS]
    total = [str(sum(map(float, cells))) for cells in zip(*parts, strict=True)]
    return {**columns, "total_energy(J)": total}


def comparisons(columns: logfile.Columns, value: str, level: float) -> list[dict[str, Any]]:
    """Every learner at every share, over the same learner with everything."""
    found = []
    for cut, question, column in CUTS:
        mine = [i for i, cell in enumerate(columns["RQ"]) if cell == question]
        sizes = sorted({int(columns[column][i]) for i in mine})
        for learner in sorted(set(columns["algorithm"])):
            for size in sizes[:-1]:
                result = recorded.analyse(
                    columns, arm=column, a=size, b=sizes[-1], value=value, quality=["f1"], claim=CLAIM, level=level,
                    where={"RQ": question, "algorithm": learner},
                )  # fmt: skip
                found.append({"cut": cut, "learner": learner, "share": round(size / sizes[-1], 2), **short(result)})
    return found


def short(result: recorded.Recorded) -> dict[str, Any]:
    """What the page tells of one comparison."""
    kept = result.to_dict()
    names = ("ratio", "low", "high", "verdict", "reason", "claim", "needed", "effect_size", "warnings")
    runs = {side: {name: kept[side][name] for name in ("runs", "left_out", "median", "unit")} for side in ("a", "b")}
    return {**{name: kept[name] for name in names}, **runs, "f1": kept["quality"]["f1"]}


def kept_quality(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each learner and cut, the cheapest share whose loss of F1 is shown to be negligible."""
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["cut"], row["learner"]
        sure = row["f1"]["low"] >= -NEGLIGIBLE and row["verdict"] == "less"
        if sure and (key not in best or row["ratio"] < best[key]["ratio"]):
            best[key] = row
    names = ("cut", "learner", "share", "ratio", "low", "high", "f1")
    return [{name: row[name] for name in names} for row in best.values()]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The claim's own row, what holds of it, and what was broken in the log."""
    claimed = next(r for r in rows if (r["cut"], r["learner"], r["share"]) == ("rows", "Random Forest", 0.1))
    at_tenth = [r for r in rows if r["cut"] == "rows" and r["share"] == 0.1]
    return {
        "claimed_row": claimed,
        "rows_at_a_tenth": at_tenth,
        "verdicts": {v: sum(r["verdict"] == v for r in rows) for v in ("less", "more", "tied", "inconclusive")},
        "claim_verdicts": {
            v: sum((r["claim"] or {}).get("verdict") == v for r in rows) for v in ("holds", "not settled", "short")
        },
        "claim_holds_for": [f"{r['learner']}, {r['share']:.0%} of {r['cut']}" for r in rows
                            if (r["claim"] or {}).get("verdict") == "holds"],
        "cheapest_with_negligible_loss": kept_quality(rows),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="ict4s22_runs.csv.gz")
    asked = parser.parse_args()
    columns = with_total(logfile.read(asked.log))
    level = 1 - 0.05 / (len(CUTS) * 6 * 9)
    single, joint = (comparisons(columns, "train_energy(J)", at) for at in (0.95, level))
    total = comparisons(columns, "total_energy(J)", 0.95)
    failed = {step: sum(float(cell) <= 0 for cell in columns[f"{step}_energy(J)"]) for step in STEPS}
    record = {
        "name": "published_claim", "command": f"python benchmarks/published_claim.py {asked.log.name}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "claim": {"text": "up to 92.16 % less energy", "ratio": CLAIM, "source": "arXiv:2204.02766"},
        "runs": len(columns["algorithm"]), "zero_or_less": failed,
        "negligible_f1": NEGLIGIBLE, "joint_level": level,
        "train_energy": summary(single), "train_energy_joint": summary(joint), "total_energy": summary(total),
        "comparisons": single,
    }  # fmt: skip
    target = _record.ROOT / "benchmarks" / "results" / "published_claim.json"
    target.write_text(_record.tidy(json.dumps(record, indent=1, ensure_ascii=False)) + "\n", encoding="utf-8")
    for row in record["train_energy"]["rows_at_a_tenth"]:
        bounds = f"{row['ratio']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        print(f"{row['learner']:20} {bounds}  F1 {row['f1']['difference']:+.3f}")
    print(f"recorded in {target.relative_to(_record.ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
