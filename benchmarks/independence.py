"""What looking for twins, groups and time takes: `python benchmarks/independence.py`.

Tables of 30 columns of numbers and 6 of text, a hundredth of whose judged rows are training rows with a hair of noise.
The rows are made first; what is timed is all that a study does to find ties and to judge a given split. Written to
results/independence.json for each number of rows: CPU seconds, wall seconds, copies planted, and those found.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import _record
import numpy as np

from trimwatt import independence
from trimwatt.independence._base import TEST, TRAIN, VAL, Table

NUMBERS, TEXTS = 30, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    found = [measure(rows) for rows in parser.parse_args().rows]
    record = {
        "name": "independence", "command": _record.tidy(" ".join(["python", *sys.argv])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "host": _record.host(), "load": [round(value, 2) for value in os.getloadavg()],
        "columns": NUMBERS + TEXTS, "tables": found,
    }  # fmt: skip
    target = _record.ROOT / "benchmarks" / "results" / "independence.json"
    target.write_text(_record.tidy(json.dumps(record, indent=1)) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def table(rows: int) -> tuple[Table, int]:
    """A table in three splits, and how many of its judged rows are copies."""
    rng = np.random.default_rng(0)
    words = np.array([f"kind {n}" for n in range(20)], dtype=object)
    x: dict[str, Any] = {f"number{n}": rng.normal(size=rows).astype(np.float32) for n in range(NUMBERS)}
    x |= {f"text{n}": words[rng.integers(0, len(words), rows)] for n in range(TEXTS)}
    train = rows * 6 // 10
    copies = np.unique(rng.integers(train, rows, (rows - train) // 100))
    source = rng.integers(0, train, len(copies))
    for column in x.values():
        hair = 0 if column.dtype == object else 1e-3 * rng.normal(size=len(copies)).astype(np.float32)
        column[copies] = column[source] if column.dtype == object else column[source] + hair
    part = np.repeat([TRAIN, VAL, TEST], [train, (rows - train) // 2, rows - train - (rows - train) // 2])
    return Table(x, rng.integers(0, 2, rows), classified=True, part=part), len(copies)


def measure(rows: int) -> dict[str, Any]:
    """The cost of finding the ties of one table."""
    made, planted = table(rows)
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    ties = independence.find(made)
    judged = independence.judge(ties, made.part, made.y, classified=True)
    return {
        "rows": rows, "cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - wall_s,
        "planted": planted, "found": judged.rows, "kinds": list(judged.kinds),
    }  # fmt: skip


if __name__ == "__main__":
    main()
