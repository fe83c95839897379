"""Splits: nothing lost, nothing twice, shares and strata kept."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimwatt.errors import InputError
from trimwatt.input import split
from trimwatt.input._base import Part

CODES = st.lists(st.integers(0, 3), min_size=50, max_size=300).map(np.array)


@given(codes=CODES, seed=st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_strata_keep_their_shares_and_every_row_has_one_home(codes: np.ndarray, seed: int) -> None:
    index = split.indices(codes, split.SHARES, seed)
    assert sorted(np.concatenate(index).tolist()) == list(range(len(codes)))
    for code in np.unique(codes):
        count = int((codes == code).sum())
        for rows, share in zip(index, split.SHARES, strict=True):
            assert abs((codes[rows] == code).sum() - share * count) <= 2


@given(codes=CODES, seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_the_seed_decides(codes: np.ndarray, seed: int) -> None:
    first, second = (split.indices(codes, (0.5, 0.5), seed) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@given(groups=st.lists(st.integers(0, 30), min_size=60, max_size=200).map(np.array), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_no_group_is_parted(groups: np.ndarray, seed: int) -> None:
    if len(np.unique(groups)) < 6:
        return
    index = split.indices(np.zeros(len(groups), np.int64), split.SHARES, seed, group=groups)
    homes = [set(groups[rows].tolist()) for rows in index]
    assert not (homes[0] & homes[1] or homes[0] & homes[2] or homes[1] & homes[2])
    assert sorted(np.concatenate(index).tolist()) == list(range(len(groups)))
    largest = np.bincount(groups).max()
    assert abs(len(index[0]) - 0.6 * len(groups)) <= largest


def test_groups_keep_classes_near_their_shares() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 10)
    codes = (rng.random(1000) < np.repeat(rng.random(100), 10)).astype(int)
    index = split.indices(codes, split.SHARES, 0, group=groups)
    means = [codes[rows].mean() for rows in index]
    assert max(means) - min(means) < 0.03
    assert [len(rows) for rows in index] == pytest.approx([600, 200, 200], abs=20)


@given(time=st.lists(st.integers(0, 40), min_size=60, max_size=200).map(np.array))
@settings(max_examples=60, deadline=None)
def test_time_goes_forward_and_moments_stay_whole(time: np.ndarray) -> None:
    if len(np.unique(time)) < 10:
        return
    train, val, test = split.indices(time, split.SHARES, 0, time=time)
    order = [time[rows] for rows in (train, val, test) if len(rows)]
    assert all(a.max() < b.min() for a, b in itertools.pairwise(order))
    assert len(train) + len(val) + len(test) == len(time)


def _part(rows: int) -> Part:
    return Part(np.arange(rows)[:, None], np.arange(rows) % 2)


def _complete(names: dict[str, int], val_from: str = "train") -> tuple[dict[str, list[int]], list[str]]:
    parts = {name: _part(rows) for name, rows in names.items()}
    done, warnings, places = split.complete(parts, {n: p.y for n, p in parts.items()}, lambda y: y, 0, val_from)
    assert list(done) == ["train", "val", "test"]
    for name, (part, rows) in places.items():
        came = np.asarray(parts[part].x)
        np.testing.assert_array_equal(done[name].x, came if rows is None else came[rows])
    return {name: np.asarray(part.x)[:, 0].tolist() for name, part in done.items()}, warnings


def test_val_is_a_fifth_of_train() -> None:
    done, _ = _complete({"train": 100, "test": 40})
    assert [len(done[name]) for name in ("train", "val", "test")] == [80, 20, 40]
    assert sorted(done["train"] + done["val"]) == list(range(100))


def test_val_is_half_of_test_and_train_is_untouched() -> None:
    done, _ = _complete({"train": 100, "test": 40}, "test")
    assert done["train"] == list(range(100))
    assert len(done["val"]) == len(done["test"]) == 20
    assert sorted(done["val"] + done["test"]) == list(range(40))


def test_without_test_the_validation_rows_serve() -> None:
    done, warnings = _complete({"train": 100, "val": 40})
    assert done["test"] == list(range(40)) and len(done["val"]) == 20
    assert "no test split" in warnings[0]


@pytest.mark.parametrize("names", [{"test": 60}, {"val": 60}, {"val": 60, "test": 60}])
def test_without_training_rows_there_is_nothing_to_do(names: dict[str, int]) -> None:
    with pytest.raises(InputError, match="none for train"):
        _complete(names)


def test_halves_of_test_cannot_be_had_beside_a_validation_split() -> None:
    with pytest.raises(InputError, match="bring their own validation"):
        _complete({"train": 60, "val": 20, "test": 20}, "test")


def test_too_few_rows_or_groups_or_moments() -> None:
    with pytest.raises(InputError, match="49 rows are too few"):
        _complete({"all": 49})
    two = np.arange(60) % 2
    with pytest.raises(InputError, match="2 groups"):
        split.indices(two, split.SHARES, 0, group=two)
    with pytest.raises(InputError, match="2 distinct"):
        split.indices(two, split.SHARES, 0, time=two)
