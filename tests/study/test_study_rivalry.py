"""Who is beaten for certain, and how sure a rank is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from trimwatt import metric
from trimwatt.study import rivalry
from trimwatt.study.validation import on_one_split
from trimwatt.trial import Quality, Ratio, Trial
from trimwatt.workload import Array, Data, Split, Workload

ROWS = 400


def _trial(name: str, ratio: float, wide: float, accuracy: float) -> Trial:
    return Trial(
        name, name, "f", [], "onnxruntime", name, quality=Quality("accuracy", accuracy, 0, 1, ROWS, True),
        ratio_to_baseline=Ratio(ratio, ratio / wide, ratio * wide, 20, "less", "cpu_seconds"),
    )  # fmt: skip


def _engine(trials: list[Trial], wrong: dict[str, int], keep: bool = True, **few: int) -> Any:
    """Answers with the first so many rows wrong. few: how many rows a trial has answered, where not all."""
    truth = np.zeros(ROWS, dtype=np.int64)
    none = Split(np.zeros((ROWS, 1)), truth)
    workload = Workload(Data(none, none, none, classes=("a", "b")), metric=metric.get("accuracy"))

    def answered(trial: str) -> Array | None:
        return (np.arange(ROWS) < wrong[trial]).astype(np.int64)[: few.get(trial, ROWS)] if keep else None

    judging = SimpleNamespace(answered=answered, validation=on_one_split(workload.rows))
    return SimpleNamespace(trials=trials, workload=workload, judging=judging)


def test_only_what_is_beaten_in_nearly_all_resamples_leaves_the_front() -> None:
    cheap, sure, close = (
        _trial("cheap", 0.2, 1.02, 0.95),
        _trial("sure", 0.6, 1.02, 0.80),
        _trial("close", 0.201, 1.02, 0.95),
    )
    placed = {t.id: t for t in rivalry.placed(_engine([cheap, sure, close], {"cheap": 20, "sure": 80, "close": 20}))}
    assert placed["sure"].dominated is not None and placed["sure"].dominated > 0.99 and not placed["sure"].on_front
    # the same answers at a cost that cannot be told apart: neither is beaten for certain
    assert placed["cheap"].on_front and placed["close"].on_front
    assert placed["close"].dominated is not None and 0.2 < placed["close"].dominated < 0.95


def test_one_that_was_given_up_early_is_held_to_the_others_on_the_rows_it_answered() -> None:
    cheap, lost = _trial("cheap", 0.2, 1.02, 0.95), _trial("lost", 0.6, 1.02, 0.5)
    engine = _engine([cheap, lost], {"cheap": 2, "lost": 40}, lost=80)
    placed = {t.id: t for t in rivalry.placed(engine)}
    alone = rivalry.placed(_engine([cheap], {"cheap": 2}))[0]
    assert placed["lost"].dominated is not None and placed["lost"].dominated > 0.99 and not placed["lost"].on_front
    assert placed["cheap"].dominated == alone.dominated


def test_ranks_say_how_sure_they_are() -> None:
    trials = [_trial("a", 0.10, 1.05, 0.9), _trial("b", 0.102, 1.05, 0.9), _trial("c", 0.5, 1.05, 0.9)]
    ranks = [t.rank for t in rivalry.placed(_engine(trials, dict.fromkeys("abc", 40)))]
    assert ranks[2] == {"value": 3, "low": 3, "high": 3}
    assert ranks[0] == {"value": 1, "low": 1, "high": 2} and ranks[1] == {"value": 2, "low": 1, "high": 2}


def test_without_the_answers_the_figures_alone_decide() -> None:
    trials = [
        _trial("a", 0.1, 1.02, 0.9),
        _trial("b", 0.2, 1.02, 0.8),
        Trial("x", "x", "f", [], "torch", "x", "failed"),
    ]
    placed = rivalry.placed(_engine(trials, {}, keep=False))
    assert [t.on_front for t in placed] == [True, False, False]
    assert placed[1].dominated is None and placed[2].rank is None
