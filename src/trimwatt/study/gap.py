"""How much better a model does on rows that it has learned from than on others."""

from __future__ import annotations

from trimwatt.study.engine import Found
from trimwatt.trial import Quality, Trial

# in the metric's own unit, or as a share of the value for errors; beyond what both intervals leave open
_LARGE = 0.05


def warnings(found: Found) -> list[str]:
    """What a large gap of the recommended model means, and what to do about it."""
    chosen = found.recommended
    gap = None if chosen is None else between(chosen)
    if chosen is None or gap is None or chosen.train_quality is None or chosen.quality is None:
        return []
    apart = _apart(chosen.train_quality, chosen.quality)
    if gap < _LARGE * _scale(chosen.quality) or not apart:
        return []
    return [
        f"{chosen.name} does better on rows that it has learned from ({chosen.train_quality.metric} "
        f"{chosen.train_quality.value:.4f}) than on others ({chosen.quality.value:.4f}): more rows, or a smaller or "
        "more regularised model, may do better on new ones; what is promised here is the latter"
    ]


def between(trial: Trial) -> float | None:
    """Quality on training rows less that on judged rows, positive where it does better on the former."""
    if trial.train_quality is None or trial.quality is None:
        return None
    difference = trial.train_quality.value - trial.quality.value
    return difference if trial.quality.greater_is_better else -difference


def _scale(quality: Quality) -> float:
    return 1.0 if quality.greater_is_better else abs(quality.value)


def _apart(train: Quality, judged: Quality) -> bool:
    """Whether the intervals do not meet."""
    return train.low > judged.high if judged.greater_is_better else train.high < judged.low
