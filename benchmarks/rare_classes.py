"""Whether the quality stated for a table with very rare classes holds on rows that nobody has seen.

    python benchmarks/rare_classes.py

Tables of 3,000 rows in five classes, of which the two rarest have 40 rows and 6, from a known generator; a whole study
of each of ten seeds, by accuracy and by macro-f1. The artifact handed over then answers 200,000 fresh rows of the same
generator (some 400 of the rarest class): its quality there is the truth that the intervals of the validation (or
out-of-fold) rows and of the test rows should hold, in nine of ten seeds or more. Written to results/rare_classes.json
with what each study says of the two classes; ends with code 1 where fewer hold, or where a study says nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _record
import numpy as np
import pandas as pd

import trimwatt as tw
from trimwatt import metric as metrics
from trimwatt.trial import Quality

NAMES = np.array(["common", "frequent", "usual", "dozens", "handful"], dtype=object)
ROWS = (1500, 900, 554, 40, 6)
FRESH = 200_000
LEAST = 0.9


def made(counts: tuple[int, ...], rng: np.random.Generator) -> pd.DataFrame:
    """Rows of each class in turn, shuffled: six numbers about a class's own centre, and a word that tells a little."""
    centres = np.random.default_rng(12).normal(size=(len(NAMES), 6)) * 1.3
    code = rng.permutation(np.repeat(np.arange(len(NAMES)), counts))
    x = centres[code] + rng.normal(size=(len(code), 6))
    word = np.where(rng.random(len(code)) < 0.6, code % 3, rng.integers(0, 3, len(code)))
    frame = pd.DataFrame(x, columns=[f"number{i}" for i in range(6)])
    return frame.assign(word=np.array(["red", "green", "blue"], dtype=object)[word], kind=NAMES[code])


def truth(artifact: Any, name: str, seed: int) -> float:
    """The artifact's quality on fresh rows, in the shares of the table."""
    rng = np.random.default_rng([seed, 1])
    fresh = made(tuple(rng.multinomial(FRESH, np.array(ROWS) / sum(ROWS))), rng)
    answer = np.asarray(artifact.open().predict(fresh.drop(columns="kind")))
    codes = {label: code for code, label in enumerate(NAMES)}
    return metrics.get(name)(*(np.array([codes[label] for label in labels]) for labels in (fresh["kind"], answer)))


def holds(found: Quality | None, value: float) -> bool | None:
    """Whether its interval does; None where there is none."""
    return None if found is None else bool(found.low <= value <= found.high)


def studied(name: str, seed: int, budget: str) -> dict[str, Any]:
    """One study, and how its delivered model does on fresh rows."""
    started = time.monotonic()
    frame = made(ROWS, np.random.default_rng([seed, 0]))
    with tempfile.TemporaryDirectory() as folder:
        study = tw.optimize(
            data=frame, target="kind", metric=name, seed=seed, budget=budget, output=Path(folder) / "study"
        )
        chosen = study.recommended
        if chosen is None:
            return {"seed": seed, "verdict": study.verdict, "held": None}
        value, trial = truth(chosen.artifact, name, seed), chosen.trial
        said = [line for line in study.to_dict()["warnings"] if "handful" in line or "dozens" in line]
    stated = {"validation": trial.quality, "test": trial.test_quality}
    print(f"{name}, seed {seed}: {value:.4f} on fresh rows; {study.verdict}", file=sys.stderr, flush=True)
    return {
        "seed": seed, "model": trial.name, "fresh": round(value, 4), "verdict": study.verdict, "said": said,
        "stated": {part: None if q is None else asdict(q) for part, q in stated.items()},
        "held": {part: holds(q, value) for part, q in stated.items()}, "took_s": round(time.monotonic() - started),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--metrics", nargs="+", default=["accuracy", "f1"])
    parser.add_argument("--budget", default="2min")
    asked = parser.parse_args()
    head = {
        "name": "rare_classes", "command": _record.tidy(" ".join(["python", *sys.argv])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(), "host": _record.host(),
        "rows": dict(zip(NAMES, ROWS, strict=True)), "fresh_rows": FRESH,
    }  # fmt: skip
    found = {name: [studied(name, seed, asked.budget) for seed in range(asked.seeds)] for name in asked.metrics}
    held = {
        name: {part: sum(bool(s["held"] and s["held"][part]) for s in studies) for part in ("validation", "test")}
        for name, studies in found.items()
    }
    silent = [f"{name} {s['seed']}" for name, studies in found.items() for s in studies if not s.get("said")]
    record = head | {"held": held, "of": asked.seeds, "silent": silent, "studies": found}
    target = _record.ROOT / "benchmarks" / "results" / "rare_classes.json"
    target.write_text(_record.tidy(json.dumps(record, indent=1)) + "\n", encoding="utf-8")
    print(json.dumps({"held": held, "of": asked.seeds, "silent": silent}))
    return int(bool(silent) or any(n < LEAST * asked.seeds for parts in held.values() for n in parts.values()))


if __name__ == "__main__":
    sys.exit(main())
