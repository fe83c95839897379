"""Recorded runs in groups: each compared within, then the groups together, and how much they disagree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trimwatt.compare import unpaired
from trimwatt.compare.recorded import Recorded, Runs
from trimwatt.compare.result import verdict
from trimwatt.compare.statistics import Interval


def as_runs(side: Runs, clusters: Sequence[Runs]) -> Runs:
    """One value a cluster: the geometric mean of its runs, trimmed where it has enough of them."""
    kept = [c for c in clusters if len(c.values)]
    values = [math.exp(unpaired.trimmed(c.logs).mean if c.enough else float(c.logs.mean())) for c in kept]
    return replace(side, values=np.array(values), rows=len(clusters), missing=len(clusters) - len(kept))


def combine(
    whole: Recorded, parts: Mapping[str, Recorded], alone: Sequence[str], group: str, minimum_effect: float
) -> Recorded:
    """The mean of the groups' log-ratios, each group counting alike, as an answer about these groups.

    Its interval comes from the spread within groups. Where groups disagree beyond chance (Cochran's Q; Higgins'
    I2 above a half) one ratio says nothing of a single group, and no less or more is claimed unless all agree on it.
    """
    known = {name: p for name, p in parts.items() if p.ratio is not None}
    notes = whole.warnings + tuple(f"{group} {name} has one arm alone and was left out" for name in alone)
    notes += tuple(f"{group} {name} was left out: {p.reason}" for name, p in parts.items() if name not in known)
    base = replace(whole, groups=dict(parts), warnings=notes, needed={}, delta=None, claim=_claims(known))
    if not known:
        reason = f"no {group} has enough runs of both arms"
        return replace(base, ratio=None, low=None, high=None, verdict="inconclusive", reason=reason)
    logs = {name: _log(p) for name, p in known.items()}
    mean, spread = _together(list(logs.values())), _disagreement(list(logs.values()))
    ratio, found, reason = mean.exp(), verdict(mean, minimum_effect, 0.0), ""
    every = {p.verdict for p in known.values()}
    if spread > 0.5 and found in ("less", "more") and every != {found}:
        reason = f"groups disagree ({spread:.0%} of their spread is no chance): read each {group} on its own"
        found = "inconclusive"
    elif found == "inconclusive":
        reason = "the interval holds 1" if mean.low <= 0 <= mean.high else "the difference is smaller than matters"
    return replace(
        base, ratio=ratio.value, low=ratio.low, high=ratio.high, verdict=found, reason=reason, heterogeneity=spread
    )


def _claims(known: Mapping[str, Recorded]) -> dict[str, Any] | None:
    """A claim holds, or falls short, where it does so in every group; `groups` counts them by verdict."""
    claims = [part.claim for part in known.values() if part.claim]
    if not claims:
        return None
    counts = Counter(str(claim["verdict"]) for claim in claims)
    only = next(iter(counts)) if len(counts) == 1 else "differs by group"
    return {"ratio": claims[0]["ratio"], "verdict": only, "groups": dict(counts)}


def _log(part: Recorded) -> Interval:
    values = [math.log(v) for v in (part.ratio, part.low, part.high) if v is not None]
    return Interval(values[0], values[1], values[2])


def _together(logs: Sequence[Interval]) -> Interval:
    mean = float(np.mean([i.value for i in logs]))
    reach = math.sqrt(sum(i.half_width**2 for i in logs)) / len(logs)
    return Interval(mean, mean - reach, mean + reach)


def _disagreement(logs: Sequence[Interval]) -> float:
    """I2: the share of the groups' spread that is more than their own errors explain; 0 for one group."""
    if len(logs) < 2:
        return 0.0
    errors = np.array([max(i.half_width / 1.96, 1e-9) for i in logs])
    values, weights = np.array([i.value for i in logs]), errors**-2.0
    q = float(weights @ (values - weights @ values / weights.sum()) ** 2)
    return max(0.0, 1 - (len(logs) - 1) / q) if q > 0 else 0.0
