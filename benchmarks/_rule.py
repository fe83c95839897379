"""The stopping rule tried where the truth is known: on simulated noise, and on pairs drawn from recorded traces."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.compare.api import MOST_PAIRS, SITTING, planned
from trimwatt.compare.comparer import Replayed, replay
from trimwatt.compare.statistics import clopper_pearson

Array = np.ndarray[Any, Any]
PLAN = planned(None, 0.02, 0.02, 1)
EFFECTS = (1.03, 1.05, 1.10)
# a comparison takes up to twenty: drawn from fewer, it would see the same ones again and take them for news
_LEAST_SITTINGS = 20
TAILS = ("normal", "t3", "t2", "spikes")


def noise(rng: np.random.Generator, n: int, tail: str, phi: float) -> Array:
    """n successive blocks: an autoregressive host (phi) with innovations of unit scale."""
    if tail == "normal":
        e = rng.normal(size=n)
    elif tail in ("t2", "t3"):
        e = rng.standard_t(int(tail[1]), size=n) / 1.6
    else:
        e = rng.normal(size=n) + (rng.random(n) < 0.05) * rng.exponential(8, size=n)
    x, scale = np.empty(n), math.sqrt(1 - phi * phi)
    x[0] = e[0]
    for i in range(1, n):
        x[i] = phi * x[i - 1] + scale * e[i]
    return x


def pairs(rng: np.random.Generator, tail: str, phi: float, sigma: float, luck: float) -> tuple[Array, Array]:
    """Log-ratios (MOST_PAIRS,) of identical arms as the design takes them, and their sittings."""
    x = noise(rng, 2 * MOST_PAIRS, tail, phi) * sigma
    order = rng.choice([-1, 1], size=MOST_PAIRS)
    sittings = np.arange(MOST_PAIRS) // SITTING
    between = rng.normal(0, luck, size=sittings.max() + 1) if luck else np.zeros(sittings.max() + 1)
    return order * (x[0::2] - x[1::2]) + between[sittings], sittings


def simulate(runs: int, seed: int = 0) -> dict[str, Any]:
    """Coverage and power in every cell of tail, autocorrelation, size of noise, and luck of processes."""
    rng, cells = np.random.default_rng(seed), []
    for luck in (0.0, 0.012):
        for tail in TAILS:
            for phi in (0.0, 0.5, 0.9):
                for sigma in (0.01, 0.05):
                    cells.append(_cell(rng, runs, tail, phi, sigma, luck))
    least = min(c["coverage"] for c in cells)
    return {
        "runs_a_cell": runs, "cells": cells, "least_coverage": least,
        "most_false_claims": max(c["false_claims"] for c in cells),
        "least_power_5%": min(c["power"]["1.05"] for c in cells),
        "without_sittings": _alone(rng, runs),
    }  # fmt: skip


def _cell(rng: np.random.Generator, runs: int, tail: str, phi: float, sigma: float, luck: float) -> dict[str, Any]:
    made = [pairs(rng, tail, phi, sigma, luck) for _ in range(runs)]
    every = {effect: [_found(d, s, effect) for d, s in made] for effect in (1.0, *EFFECTS)}
    covered = {str(e): share([covers(r, e) for r in found]) for e, found in every.items()}
    return {
        "tail": tail, "autocorrelation": phi, "sigma": sigma, "luck": luck, "coverage": min(covered.values()),
        "coverage_by_effect": covered, "false_claims": share([claims(r) for r in every[1.0]]),
        "power": {str(e): share([r.verdict == "more" for r in every[e]]) for e in EFFECTS},
        "pairs": {str(e): float(np.median([r.pairs for r in every[e]])) for e in every},
    }  # fmt: skip


def _alone(rng: np.random.Generator, runs: int) -> dict[str, float]:
    """For contrast: the luck of one process an arm, which no number of pairs shows."""
    hit = []
    for _ in range(runs):
        d, s = pairs(rng, "normal", 0.5, 0.01, 0.0)
        hit.append(covers(replay(d + rng.normal(0, 0.012), np.zeros_like(s), PLAN), 1.0))
    return {"luck": 0.012, "coverage": share(hit)}


def _found(logs: Array, sittings: Array, effect: float) -> Replayed:
    return replay(logs + math.log(effect), sittings, PLAN)


def covers(found: Replayed, effect: float) -> bool:
    """Whether the interval holds the truth."""
    return found.logs.low <= math.log(effect) <= found.logs.high


def claims(found: Replayed) -> bool:
    """Whether a difference is claimed."""
    return found.verdict in ("less", "more")


def share(flags: list[bool]) -> float:
    return round(float(np.mean(flags)), 4)


@dataclass(frozen=True)
class Trace:
    """Consecutive sittings of identical arms: log-ratios of each, in the order they were run; seconds a pair."""

    sittings: list[Array]
    pair_s: float


def draws(trace: Trace, number: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Comparisons of up to MOST_PAIRS pairs: sittings from a random start on, as they followed each other, so that a
    slow spell stays together; which of two identical arms is called a is drawn for each sitting."""
    k = len(trace.sittings)
    for _ in range(number):
        start = int(rng.integers(k))
        chosen = [trace.sittings[(start + i) % k] * rng.choice([-1, 1]) for i in range(MOST_PAIRS // SITTING)]
        labels = [np.full(len(logs), i) for i, logs in enumerate(chosen)]
        yield np.concatenate(chosen)[:MOST_PAIRS], np.concatenate(labels)[:MOST_PAIRS]


def drawn(traces: dict[str, Trace], number: int, seed: int = 0) -> dict[str, Any]:
    """False claims, coverage, power, and what a verdict takes, in `number` comparisons drawn from each trace."""
    rng = np.random.default_rng(seed)
    usable = {state: trace for state, trace in traces.items() if len(trace.sittings) >= _LEAST_SITTINGS}
    if not usable:
        raise SystemExit(f"no trace has {_LEAST_SITTINGS} sittings: give the parts quiet and busy more --runs")
    states = {state: _drawn(trace, number, rng) for state, trace in usable.items()}
    hits, n = (sum(s["false_claims"][key] for s in states.values()) for key in ("hits", "n"))
    short = {state: len(trace.sittings) for state, trace in traces.items() if state not in usable}
    return {"states": states, "false_claims": counted(hits, n), "too_few_sittings": short}


def _drawn(trace: Trace, number: int, rng: np.random.Generator) -> dict[str, Any]:
    made = list(draws(trace, number, rng))
    null = [_found(d, s, 1.0) for d, s in made]
    effects = {}
    for effect in EFFECTS:
        found = [_found(d, s, effect) for d, s in made]
        taken = np.array([r.pairs for r in found])
        effects[str(effect)] = {
            "coverage": share([covers(r, effect) for r in found]),
            "power": share([r.verdict == "more" for r in found]),
            "pairs": {"median": float(np.median(taken)), "p90": float(np.quantile(taken, 0.9))},
            "seconds": {"median": round(float(np.median(taken)) * trace.pair_s, 2)},
        }
    return {
        "sittings": len(trace.sittings), "false_claims": counted(sum(map(claims, null)), number),
        "coverage_of_1": share([covers(r, 1.0) for r in null]), "effects": effects,
    }  # fmt: skip


def counted(hits: int, n: int) -> dict[str, Any]:
    """A share with Clopper and Pearson's bounds (two-sided 95 %), as if the n were independent."""
    hits = int(hits)
    low, high = clopper_pearson(hits, n)
    return {"hits": hits, "n": n, "share": round(hits / n, 4), "low": round(low, 4), "high": round(high, 4)}


def blocked(cpu_s: Array, size: int = 30) -> dict[str, Any]:
    """The usual design on the same host: `size` blocks of A, then of B, Welch's t at 95 %, in overlapping windows."""
    from scipy.stats import ttest_ind

    starts = range(0, len(cpu_s) - 2 * size + 1, 7)
    p = [ttest_ind(cpu_s[i : i + size], cpu_s[i + size : i + 2 * size], equal_var=False).pvalue for i in starts]
    return {**counted(sum(value < 0.05 for value in p), len(p)), "design": f"{size} of A, then {size} of B"}


def timed(function: Any, *args: Any) -> dict[str, Any]:
    """What `function` gives, with the seconds it took."""
    started = time.monotonic()
    return {**function(*args), "took_s": round(time.monotonic() - started, 1)}
