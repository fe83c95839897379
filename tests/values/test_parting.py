"""Rows held out, and folds: each row once, what belongs together on one side, the past before the future."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimwatt import parting
from trimwatt.errors import InputError
from trimwatt.workload import Data, Split, Stored, joined


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 300), st.integers(2, 6), st.integers(1, 5), st.integers(0, 9))
def test_each_row_is_held_out_once_and_never_fitted_on_there(rows: int, count: int, classes: int, seed: int) -> None:
    codes = np.arange(rows) % classes
    folds = parting.folds(codes, rows, count, seed)
    assert np.array_equal(np.sort(np.concatenate([held for _, held in folds])), np.arange(rows))
    for fit, held in folds:
        assert not set(fit) & set(held) and len(fit) + len(held) == rows
        # the classes in their shares, to two rows
        shares = np.bincount(codes[held], minlength=classes) - np.bincount(codes, minlength=classes) / count
        assert np.abs(shares).max() < 2


@pytest.mark.parametrize("kind", ["group", "twins"])
def test_what_belongs_together_is_held_out_together(kind: str) -> None:
    labels = np.repeat(np.arange(40), 3)
    folds = parting.folds(labels % 2, 120, 5, 0, **{kind: labels})
    for fit, held in folds:
        assert not set(labels[fit]) & set(labels[held])
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(120))


def test_by_time_each_fold_is_fitted_on_all_that_came_before_it() -> None:
    time = np.random.default_rng(0).permutation(200)
    folds = parting.folds(None, 200, 5, 0, time=time)
    for fit, held in folds:
        assert time[fit].max() < time[held].min() and len(fit) == (time < time[held].min()).sum()
    assert sum(len(held) for _, held in folds) == 100


def test_too_few_groups_or_moments_for_the_folds_are_refused() -> None:
    with pytest.raises(InputError, match="3 groups"):
        parting.folds(None, 60, 5, 0, group=np.arange(60) % 3)
    with pytest.raises(InputError):
        parting.folds(None, 60, 5, 0, time=np.arange(60) % 4)


def _data(**ties: np.ndarray) -> Data:
    y = np.arange(100) % 2
    whole = Split(np.arange(100.0)[:, None], y, **ties)
    return Data(whole, whole.take(slice(0, 0)), whole.take(slice(0, 0)), classes=(0, 1))


def test_rows_held_out_keep_groups_whole_and_are_the_latest_where_time_is_known() -> None:
    labels = np.repeat(np.arange(20), 5)
    fit, held = _data(group=labels).holdout(0)
    assert not set(fit.group) & set(held.group) and 10 <= len(held) <= 20
    fit, held = _data(time=np.arange(100)).holdout(0)
    assert fit.time.max() < held.time.min() and len(held) == 15


def test_one_group_alone_is_parted_like_any_rows() -> None:
    fit, held = _data(group=np.zeros(100)).holdout(0)
    assert len(held) == 15 and len(fit) == 85


def test_rows_of_two_splits_go_together_with_what_ties_them() -> None:
    first, second = _data(group=np.arange(100)).train, _data(group=np.arange(100, 200)).train
    both = first.joined(second)
    assert len(both) == 200 and np.array_equal(both.group, np.arange(200))
    assert first.joined(_data().train).group is None


def test_stored_columns_of_two_files_go_together_as_what_they_are() -> None:
    pd = pytest.importorskip("pandas")
    first = Stored({
        "c": pd.Categorical(["a", "b"]), "n": pd.array([1, None], dtype="Int64"), "m": np.ma.masked_equal([1, 2], 2),
        "o": pd.Categorical(["lo", "hi"], categories=["lo", "hi"], ordered=True), "t": np.array(["x", "yy"]),
    })  # fmt: skip
    second = Stored({
        "c": pd.Categorical(["c", None]), "n": np.array([3, 4]), "m": np.array([3, 4]),
        "o": pd.Categorical(["hi", "lo"], categories=["lo", "hi"], ordered=True), "t": np.array(["zzz", "x"]),
    })  # fmt: skip
    both = joined(first, second)
    assert isinstance(both, Stored)
    assert set(both["c"].categories) == {"a", "b", "c"} and pd.isna(both["c"]).tolist() == [False, False, False, True]
    assert str(both["n"].dtype) == "Int64" and both["m"].mask.tolist() == [False, True, False, False]
    assert both["o"].ordered and both["t"].tolist() == ["x", "yy", "zzz", "x"]
    # categories of other types are no longer categories, but no error either
    assert len(joined(first, Stored({**second, "c": pd.Categorical([1, 2])}))["c"]) == 4
