"""Random models that users might give, taken in as a study does: does the opened baseline answer as they do?

`make fuzz` runs all and records benchmarks/results/fuzz.json; tests/fuzz/test_fuzz.py runs a tenth. A case is known by
its kind and number: `python tests/fuzz/fuzz.py --only pipelines:17` shows one.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from _case import Outcome, judge

ROOT = Path(__file__).parents[2]
# how many of each kind: module, function, cases
KINDS = {
    "pipelines": ("_pipelines", "draw_pipeline", 300),
    "modules": ("_modules", "draw_module", 100),
    "graphs": ("_graphs", "draw_graph", 50),
}
SEED = 11
MOST_REFUSED = 1 / 20


def run(kind: str, numbers: range | list[int]) -> Iterator[tuple[int, Outcome]]:
    """Outcome of each case by its number, whatever other cases are run."""
    module, function, _ = KINDS[kind]
    draw = getattr(importlib.import_module(module), function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in numbers:
            case = draw(np.random.default_rng([SEED, number]))
            with tempfile.TemporaryDirectory() as folder:
                yield number, judge(case, Path(folder), as_study=number % 3 == 0)


def record(kind: str) -> dict[str, Any]:
    """Counts of a kind, with each reason of a refusal and each fault."""
    outcomes = list(run(kind, range(KINDS[kind][2])))
    for number, outcome in outcomes:
        if outcome.kind not in ("equal", "refused"):
            print(f"{kind}:{number} {outcome.kind}: {outcome.reason} | {outcome.name[:200]}", file=sys.stderr)
    refused = Counter(outcome.reason for _, outcome in outcomes if outcome.kind == "refused")
    return {
        "cases": len(outcomes), **Counter(outcome.kind for _, outcome in outcomes),
        "reasons": dict(refused.most_common()),
        "not_reopened": dict(Counter(outcome.handed_over for _, outcome in outcomes if outcome.handed_over)),
    }  # fmt: skip


def passes(found: dict[str, Any]) -> bool:
    """Nothing differs, nothing ends in a traceback, and few are refused."""
    return (
        not found.get("differs")
        and not found.get("traceback")
        and found.get("refused", 0) <= MOST_REFUSED * found["cases"]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="file to record in")
    parser.add_argument("--only", metavar="KIND:NUMBER", help="show one case")
    asked = parser.parse_args()
    if asked.only:
        kind, _, number = asked.only.partition(":")
        for _, outcome in run(kind, [int(number)]):
            print(f"{outcome.kind}: {outcome.reason}\n{outcome.name}\n{outcome.handed_over}".strip())
        return 0
    found = {kind: record(kind) for kind in KINDS}
    print(json.dumps(found, indent=2, ensure_ascii=False))
    if asked.output:
        sys.path.insert(0, str(ROOT / "benchmarks"))
        import _record

        kept = {
            "name": "fuzz", "command": "make fuzz", "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": _record.revision(), "host": _record.host(), "seed": SEED, "result": found,
        }  # fmt: skip
        asked.output.write_text(_record.tidy(json.dumps(kept, indent=2, ensure_ascii=False)) + "\n", encoding="utf-8")
    return 0 if all(map(passes, found.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
