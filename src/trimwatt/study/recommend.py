"""Which trial to use: the cheapest proven to meet the floor, and among those tied the one cheapest to find."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from trimwatt.energy import Energy
from trimwatt.runtime import needs_trust
from trimwatt.study.options import Options
from trimwatt.trial import Trial


@dataclass(frozen=True)
class PayBack:
    """Predictions after which what was saved outweighs what finding it took; None is never."""

    own_predictions: float | None
    study_predictions: float | None


def eligible(
    trials: Sequence[Trial], options: Options, reference: Trial | None = None, alike: Collection[str] = ()
) -> list[Trial]:
    """Trials that may be recommended, cheapest first by their screening ratio.

    Those proven to meet the floor, where one of them saves against the reference that sets it; else, and where bold was
    asked, all that meet it by their estimate. Of many judged on the same rows, the cheapest that just meets a floor has
    had luck. alike: ids of those that count as proven, as they are the reference's own model in another runtime.
    """
    good = acceptable(trials, options)
    if options.bold:
        return good
    sure = [trial for trial in good if trial.floor_test == "proven" or (trial.id in alike and not options.strict)]
    return sure if options.strict or any(_saves(trial, reference) for trial in sure) else good


def acceptable(trials: Sequence[Trial], options: Options) -> list[Trial]:
    """Trials that meet the floor by their estimate, and the limits, cheapest first."""
    good = [trial for trial in trials if _acceptable(trial, options)]
    return sorted(good, key=lambda trial: trial.ratio_to_baseline.value if trial.ratio_to_baseline else math.inf)


def _saves(trial: Trial, reference: Trial | None = None) -> bool:
    """Whether it takes less than the reference; the baseline is the reference where none is named."""
    least = reference.ratio_to_baseline.low if reference and reference.ratio_to_baseline else 1.0
    return trial.ratio_to_baseline is not None and trial.ratio_to_baseline.high < least


def _acceptable(trial: Trial, options: Options) -> bool:
    if trial.status != "done" or not trial.meets_floor or trial.ratio_to_baseline is None:
        return False
    latency = trial.latency_s["p50"] if trial.latency_s else None
    return options.limits.broken(latency, trial.size_bytes, trial.peak_rss_bytes) is None


def finalists(candidates: Sequence[Trial], most: int = 4) -> list[Trial]:
    """Those that could still be the cheapest: screening intervals that reach the best one's, with some slack.

    candidates: eligible ones but the baseline, cheapest first.
    """
    if not candidates or candidates[0].ratio_to_baseline is None:
        return []
    reach = candidates[0].ratio_to_baseline.high * 1.05
    close = [c for c in candidates if c.ratio_to_baseline is not None and c.ratio_to_baseline.low <= reach]
    return close[:most]


def by_screening(pool: Sequence[Trial], baseline: str = "") -> tuple[Trial | None, list[str]]:
    """The choice where only screening intervals are known, and the ids of those that overlap with the cheapest's."""
    if not pool or pool[0].ratio_to_baseline is None:
        return (pool[0] if pool else None), [trial.id for trial in pool[:1]]
    reach = pool[0].ratio_to_baseline.high
    tied = [t for t in pool if t.ratio_to_baseline is not None and t.ratio_to_baseline.low <= reach]
    return cheapest_to_find(tied, baseline), [trial.id for trial in tied]


def cheapest_to_find(tied: Sequence[Trial], baseline: str = "") -> Trial:
    """Of those that cannot be told apart, the one that took least energy to find, of those that open without trust.

    baseline: its id. Where it would be taken it stays: whoever keeps the model he has needs no other file of it.
    """
    first = min(tied, key=_to_find)
    as_data = [trial for trial in tied if not needs_trust(trial.runtime)]
    return first if first.id == baseline or not as_data else min(as_data, key=_to_find)


def _to_find(trial: Trial) -> float:
    return trial.cost.joules if trial.cost else math.inf


def cheapest_as_data(pool: Sequence[Trial], chosen: Trial | None, baseline: str) -> Trial | None:
    """Where `chosen` needs trust to be opened, the first of the eligible, cheapest first, that does not."""
    if chosen is None or chosen.id == baseline or not needs_trust(chosen.runtime):
        return None
    return next((trial for trial in pool if trial.id != baseline and not needs_trust(trial.runtime)), None)


def cheapest_proven(pool: Sequence[Trial], chosen: Trial | None, reference: Trial | None = None) -> Trial | None:
    """Of the eligible, cheapest first, the first that is proven to meet the floor and saves; None where `chosen` is."""
    if chosen is None or chosen.floor_test == "proven":
        return None
    return next((trial for trial in pool if _saves(trial, reference) and trial.floor_test == "proven"), None)


def cheaper_by_estimate(pool: Sequence[Trial], chosen: Trial | None, good: Sequence[Trial]) -> Trial | None:
    """Of all that meet the floor, cheapest first, one outside the pool surely cheaper than a choice from it, if any."""
    ids = {trial.id for trial in pool}
    if chosen is None or chosen.id not in ids or chosen.ratio_to_baseline is None:
        return None
    least = chosen.ratio_to_baseline.low
    cheaper = (t for t in good if t.ratio_to_baseline is not None and t.ratio_to_baseline.high < least)
    return next((trial for trial in cheaper if trial.id not in ids), None)


def pay_back(baseline: Trial, chosen: Trial, study: Energy | None) -> PayBack:
    """Predictions until the chosen trial's own cost, and the whole study's, are saved."""
    before, after = baseline.energy_per_prediction, chosen.energy_per_prediction
    if before is None or after is None or before.joules <= after.joules:
        return PayBack(None, None)
    saved = before.joules - after.joules
    own = chosen.cost.joules / saved if chosen.cost else None
    return PayBack(own, study.joules / saved if study else None)
