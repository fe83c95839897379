"""Quality on rows kept back, paired differences with 95 % intervals, and what they say of each claim of quality.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt import metric as metrics

Array = np.ndarray[Any, Any]
DRAWS, MAX_DROP = 1000, 0.01
OURS, UNTUNED = "trimwatt", ("hist_gradient_boosting", "lightgbm")


@dataclass(frozen=True)
class Judged:
    """All judged rows of a set. fold: which of them each row was kept back in; block: what is drawn together."""

    metric: str
    truth: Array
    fold: Array
    block: Array

    @classmethod
    def read(cls, metric: str, folds: list[Path]) -> Judged:
        parts = [np.load(folder / "truth.npz") for folder in folds]
        sizes = [len(part["truth"]) for part in parts]
        starts = np.concatenate([[0], np.cumsum([part["block"].max() + 1 for part in parts])[:-1]])
        return cls(
            metric, np.concatenate([part["truth"] for part in parts]), np.repeat(np.arange(len(folds)), sizes),
            np.concatenate([part["block"] + start for part, start in zip(parts, starts, strict=True)]),
        )  # fmt: skip

    def value(self, said: Array, weights: Array) -> float:
        """The metric, each row `weights` times; auc is the mean over folds, whose models share no scale."""
        if self.metric != "auc":
            return metrics.get(self.metric)(self.truth, said, weights)
        auc, folds = metrics.get("auc", positive=1), np.unique(self.fold)
        each = [auc(self.truth[rows], said[rows], weights[rows]) for rows in (self.fold == f for f in folds)]
        return float(np.mean(each))

    def draws(self) -> Array:
        """(draws + 1, rows) weights: of the rows as they are, then of the bootstrap's draws of blocks."""
        rng, blocks = np.random.default_rng(0), int(self.block.max()) + 1
        counts = rng.multinomial(blocks, np.full(blocks, 1 / blocks), DRAWS)
        return np.vstack([np.ones(len(self.truth)), counts[:, self.block]])


def answers(metric: str, folds: list[Path], file: str = "predictions.npz") -> Array:
    """What a contestant said of all judged rows, as the metric reads it; `folds` are the folders of its runs."""
    key = {"r2": "value", "accuracy": "label", "auc": "probability"}[metric]
    return np.concatenate([np.load(folder / file)[key] for folder in folds])


def judge(judged: Judged, said: dict[str, Array]) -> dict[str, Any]:
    """{contestant: {value, low, high}} and {contestant: trimwatt minus it}, of the same draws."""
    weights = judged.draws()
    drawn = {name: np.array([judged.value(one, w) for w in weights]) for name, one in said.items()}
    ours = drawn.get(OURS)
    others = {} if ours is None else {name: ours - other for name, other in drawn.items() if name != OURS}
    return {
        "rows": len(judged.truth), "drawn": len(np.unique(judged.block)),
        "quality": {name: interval(values) for name, values in drawn.items()},
        "trimwatt_minus": {name: interval(values) for name, values in others.items()},
    }  # fmt: skip


def interval(draws: Array) -> dict[str, float]:
    """The first as the estimate, the rest for its 95 % interval; draws without both classes say nothing."""
    known = draws[1:][np.isfinite(draws[1:])]
    low, high = np.quantile(known, [0.025, 0.975])
    return {"value": float(draws[0]), "low": float(low), "high": float(high)}


def verdict(found: dict[str, Any]) -> dict[str, Any]:
    """Who wins a set, and whether trimwatt is worse than an untuned fit by more than max-drop.

    A set under 2,000 rows is excused where the difference's interval is wider than max-drop and includes -max-drop.
    """
    quality = found["quality"]
    winner = max(quality, key=lambda name: quality[name]["value"])
    worse = {}
    for name in UNTUNED:
        if name not in found["trimwatt_minus"]:
            continue
        gap = found["trimwatt_minus"][name]
        excused = found["few"] and gap["high"] - gap["low"] > MAX_DROP and gap["low"] <= -MAX_DROP <= gap["high"]
        worse[name] = "no" if gap["value"] >= -MAX_DROP else "within the interval of few rows" if excused else "yes"
    return {"winner": winner, "worse_than_untuned": worse}


def same(gap: dict[str, float]) -> bool:
    """Whether two models may be of equal quality: some difference within max-drop is inside the interval."""
    return gap["high"] >= -MAX_DROP and gap["low"] <= MAX_DROP


def mean_gap(sets: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The mean over sets of trimwatt minus `name`; sets are independent, so their squared half-widths add up."""
    gaps = [one["trimwatt_minus"][name] for one in sets.values() if name in one.get("trimwatt_minus", {})]
    if not gaps:
        return None
    mean = float(np.mean([gap["value"] for gap in gaps]))
    half = float(np.sqrt(sum(((gap["high"] - gap["low"]) / 2) ** 2 for gap in gaps)) / len(gaps))
    return {"value": mean, "low": mean - half, "high": mean + half, "sets": len(gaps), "level": mean >= -MAX_DROP}
