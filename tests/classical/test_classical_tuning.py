"""Searches for good parameters: on training rows alone, the same for the same seed, and better than the usual ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trimwatt import metric
from trimwatt.framework import sklearn as framework
from trimwatt.technique import apply
from trimwatt.technique._base import Technique
from trimwatt.technique.classical import Boosted, Linear, Neighbours
from trimwatt.technique.classical.tuning import FAMILIES, _inner, _judge, boosted, tune
from trimwatt.technique.classical.tuning._clock import Clock
from trimwatt.testing import samples
from trimwatt.workload import Array, Data, Split, Workload

_LONG = 600.0


def _values(rows: int = 240, skewed: bool = False, name: str = "r2", **ties: Any) -> Workload:
    """Values that two of three columns explain, additively, or as the logarithm of a mean."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    level = x[:, 0] + 0.5 * np.sin(3 * x[:, 1])
    y = np.exp(2 * level + rng.normal(0, 0.2, rows)) if skewed else level + rng.normal(0, 0.3, rows)
    split = Split(x, y, **ties)
    return Workload(Data(split, split, split), "regression", metric.get(name), outputs="values")


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_found_can_be_made_and_begins_with_the_strongest(family: str) -> None:
    base = replace(samples.people(rows=300), metric=metric.get("accuracy"))
    found = tune(family, base, 1.0)
    assert found.techniques and found.tried > 0 and not found.note
    assert len({type(step).name for step in found.techniques}) >= 1
    assert apply(found.techniques[-1], base).form == "sklearn"
    assert all(getattr(step, "early_stopping", False) is False for step in found.techniques if step.name == "boosted")


def test_only_training_rows_are_read() -> None:
    base = _values()
    poisoned = Split(np.full((4, 3), np.inf, dtype=np.float32), np.full(4, np.nan))
    data = replace(base.rows, val=poisoned, test=poisoned)
    for family in ("linear", "neighbours"):
        assert tune(family, replace(base, data=data), _LONG) == tune(family, base, _LONG)


def test_the_same_seed_finds_the_same() -> None:
    one, other = (tune("linear", _values(), _LONG) for _ in range(2))
    assert one == other


def test_a_long_tail_is_learnt_by_its_logarithm() -> None:
    assert boosted.skewed(_values(skewed=True).rows.train.y) and not boosted.skewed(_values().rows.train.y)
    (step, *_) = tune("linear", _values(skewed=True, name="mae"), _LONG).techniques
    assert isinstance(step, Linear) and step.target == "log"
    (plain, *_) = tune("linear", _values(), _LONG).techniques
    assert isinstance(plain, Linear) and plain.target == "as_is"


def test_rounds_are_those_that_rows_held_out_like_best() -> None:
    inner = _inner.part(_values(skewed=True))
    judged = boosted._judged(inner.few, Boosted(300, 4, 0.5, early_stopping=False))
    step: Any = judged.technique
    assert 1 <= step.rounds < 300
    others = [boosted._after(judged.state, replace(step, rounds=rounds)).error for rounds in (1, 2 * step.rounds)]
    assert judged.error < others[0] and judged.error <= others[1] + 0.02


def test_trees_after_some_rounds_answer_as_trees_fitted_for_so_many() -> None:
    inner = _inner.part(_values(300))
    (fold, *_) = inner.folds
    one = boosted._fit(Boosted(40, 8, early_stopping=False), fold)
    fewer = apply(Boosted(10, 8, early_stopping=False), fold.workload)
    assert np.allclose(one.said(10), framework.scores(fewer, fold.held.x))


def test_folds_keep_groups_whole_and_hold_out_what_comes_later() -> None:
    group = np.repeat(np.arange(48), 5)
    for fold in _inner.part(_values(group=group)).folds:
        assert not set(fold.held.group.tolist()) & set(fold.workload.rows.train.group.tolist())  # type: ignore[union-attr]
    for fold in _inner.part(_values(time=np.arange(240.0))).folds:
        assert fold.held.time.min() > fold.workload.rows.train.time.max()  # type: ignore[union-attr]


def test_few_rows_are_held_out_in_turn_and_many_once() -> None:
    counts = [len(_inner.part(_values(rows)).folds) for rows in (200, 2000, 6000)]
    assert counts == [5, 3, 1]
    few = _inner.part(_values(200))
    assert len(few.truth) == 200 and len(_inner.part(_values(6000)).truth) == 1200


def test_too_few_rows_or_one_class_come_to_nothing_with_a_reason() -> None:
    base = samples.digits(rows=60)
    train = base.rows.train
    same = replace(base, data=replace(base.rows, train=replace(train, y=np.zeros_like(train.y))))
    found = tune("boosted", same, _LONG)
    assert found.techniques == () and "too few, or too much alike" in found.note
    assert tune("linear", replace(base, data=replace(base.rows, train=train.take(slice(0, 1)))), _LONG).note


def test_a_class_of_one_row_does_not_stop_the_search() -> None:
    base = samples.digits(rows=200)
    y = np.where(base.rows.train.y == 9, 0, base.rows.train.y)
    y[0] = 9
    rare = replace(base, data=replace(base.rows, train=replace(base.rows.train, y=y)))
    judged = boosted._judged(_inner.part(rare).folds, Boosted(5, 4, early_stopping=False))
    assert np.isfinite(judged.loss) and judged.wrong[judged.wrong > 0].size < len(judged.wrong)


def _told(error: float, loss: float, wrong: Array, cost: float = 1.0, step: Technique | None = None) -> _judge.Judged:
    return _judge.Judged(step or Neighbours(), error, loss, wrong, cost)


def test_among_labels_that_noise_cannot_tell_apart_the_proper_score_decides() -> None:
    base = samples.digits()
    wrong = np.zeros(100)
    lucky, sound, poor = wrong.copy(), wrong.copy(), wrong.copy()
    lucky[:4], sound[3:8], poor[:40] = 1, 1, 1
    first, second = _told(-0.96, 0.3, lucky), _told(-0.95, 0.1, sound)
    third = _told(-0.60, 0.05, poor)
    assert _judge.best([first, second, third], base) is second
    assert _judge.ranked([third, first, second], base) == [second, first, third]
    assert _judge.best([first, second], replace(base, metric=metric.get("auc"))) is first


def test_of_rates_that_rows_cannot_tell_apart_the_slower_is_the_stronger() -> None:
    inner = _inner.part(_values())
    quick, slow, poor = (
        boosted._judged(inner.few, Boosted(200, 4, rate, early_stopping=False)) for rate in (0.1, 0.08, 0.3)
    )
    poor = replace(poor, wrong=poor.wrong + 10, error=1.0, technique=replace(poor.technique, learning_rate=0.01))
    (first, *_) = boosted._strongest_first([quick, poor, slow], inner.workload)
    assert first is slow


def test_cheaper_ones_are_those_that_lose_little_from_costly_to_cheap() -> None:
    wrong = np.zeros(4)
    first = _told(0.10, 0.1, wrong, cost=100)
    half, tenth, dear, bad = (
        _told(e, e, wrong, cost=c) for e, c in ((0.11, 50.0), (0.12, 10.0), (0.10, 90.0), (0.9, 5.0))
    )
    assert _judge.smaller([first, half, tenth, dear, bad], first, drop=0.05, most=4) == [half, tenth]
    assert _judge.smaller([first, half, tenth], first, drop=0.05, most=1) == [half]


def test_the_clock_cuts_a_search_short_after_the_first() -> None:
    ticks = iter(np.arange(0.0, 100.0, 1.0))
    clock = Clock(2.5, now=lambda: float(next(ticks)))
    found = clock.each(range(10), lambda number: _told(number, 0.0, np.zeros(1)))
    assert [one.error for one in found] == [0] and clock.left_out == 9
    assert clock.tried == 1
