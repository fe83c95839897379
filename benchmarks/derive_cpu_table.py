"""Compute the coefficients of `trimwatt/meter/cpu_table.py` from published SPECpower_ssj2008 results.

    TRIMWATT_DATA=folder python benchmarks/derive_cpu_table.py

Reads carbon/cpu_specpower_2017_2026.csv (facts from SPEC results; credit: SPEC) and prints one row a group: idle and
full-load watts at the wall per hardware thread as the mean over results, with their 2.5 to 97.5 % range, the memory per
thread that is inside these watts, and how many results there are.
"""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import numpy as np

# few-core edge parts draw several times more a thread, and are not what a cloud rents out
LEAST_CORES = 24
FAMILIES = {
    "AMD EPYC Zen 1 (7xx1)": r"EPYC 7\d\d1",
    "AMD EPYC Zen 2 (7xx2)": r"EPYC 7\d\d2",
    "AMD EPYC Zen 3 (7xx3)": r"EPYC 7\d\d3",
    "AMD EPYC Zen 4 (9xx4)": r"EPYC 9\d\d4",
    "AMD EPYC Zen 4c small (8xx4)": r"EPYC 8\d\d4",
    "AMD EPYC Zen 5 (9xx5)": r"EPYC 9\d\d5",
    "Intel Xeon Skylake": r"(Platinum|Gold|Silver|Bronze) \d1\d\d",
    "Intel Xeon Cascade Lake": r"(Platinum|Gold|Silver|Bronze) \d2\d\d",
    "Intel Xeon Cooper Lake": r"Platinum 83\d\dHL?\b|Platinum 8376",
    "Intel Xeon Ice Lake": r"(Platinum|Gold|Silver) \d3\d\d",
    "Intel Xeon Sapphire Rapids": r"(Platinum|Gold|Silver|\)|Xeon) \d4\d\d",
    "Intel Xeon Emerald Rapids": r"(Platinum|Gold|Silver|Xeon) \d5\d\d",
    "Intel Xeon Granite Rapids": r"(Xeon|\)) 6(7|9)\d\dP",
    "Intel Xeon Sierra Forest": r"(Xeon|\)|Gold) 67\d\dE",
    "Ampere Altra": r"Altra",
}
PARTS = {
    "AMD EPYC 7742": r"EPYC 7742", "AMD EPYC 7763": r"EPYC 7763", "AMD EPYC 9654": r"EPYC 9654",
    "AMD EPYC 9754": r"EPYC 9754", "AMD EPYC 9845": r"EPYC 9845", "AMD EPYC 9965": r"EPYC 9965",
    "Intel Xeon 8180": r"Platinum 8180", "Intel Xeon 8280": r"Platinum 8280", "Intel Xeon 8380": r"Platinum 8380(?!H)",
    "Intel Xeon 8480+": r"8480\+", "Intel Xeon 8490H": r"8490H", "Intel Xeon 8592+": r"8592\+",
    "Intel Xeon 6787P": r"6787P", "Intel Xeon 6780E": r"6780E",
}  # fmt: skip


def results() -> list[dict[str, str]]:
    folder = Path(os.environ.get("TRIMWATT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    with (folder / "carbon" / "cpu_specpower_2017_2026.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def summary(rows: list[dict[str, str]]) -> tuple[float, ...]:
    """idle, its range, max, its range (W per thread), GB per thread, n."""
    threads = np.array([float(r["threads"]) for r in rows])
    idle, full = (np.array([float(r[key]) for r in rows]) / threads for key in ("w_idle", "w_100"))
    memory = np.array([float(r["memory_gb"]) for r in rows]) / threads
    ranges = [np.quantile(v, [0.025, 0.975]) for v in (idle, full)]
    return idle.mean(), *ranges[0], full.mean(), *ranges[1], float(np.median(memory)), float(len(rows))


def years(rows: list[dict[str, str]]) -> tuple[int, int]:
    """When the first and the last of these results were published."""
    found = [int(r["published"][-4:]) for r in rows]
    return min(found), max(found)


def group(rows: list[dict[str, str]], patterns: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """Each result under the first pattern that its name matches and no earlier group took."""
    taken: dict[str, list[dict[str, str]]] = {name: [] for name in patterns}
    for row in rows:
        for name in sorted(patterns, key=lambda n: n != "Intel Xeon Cooper Lake"):
            if re.search(patterns[name], row["cpu"].replace(" Processor", "")):
                taken[name].append(row)
                break
    return taken


def main() -> None:
    rows = [r for r in results() if float(r["w_idle"]) > 0 and float(r["cores"]) >= LEAST_CORES * float(r["chips"])]
    for patterns in (FAMILIES, PARTS):
        for name, members in group(rows, patterns).items():
            if members:
                i, il, ih, f, fl, fh, g, n = summary(members)
                row = f"({i:.3f}, {il:.3f}, {ih:.3f}, {f:.3f}, {fl:.3f}, {fh:.3f}, {g:.2f}, {n:.0f})"
                print(f'    "{name}": {row}, {years(members)}')
        print()
    everything = [m for ms in group(rows, FAMILIES).values() for m in ms]
    print("all of these:", " ".join(f"{v:.3f}" for v in summary(everything)))


if __name__ == "__main__":
    main()
