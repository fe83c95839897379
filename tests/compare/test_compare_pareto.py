from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.compare.pareto import front

points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)


def test_by_hand() -> None:
    assert front([1, 2, 2, 3], [0.5, 0.9, 0.8, 0.9]).tolist() == [True, True, False, False]
    assert front([1, 1], [0.5, 0.5]).tolist() == [True, True]
    assert front([1, np.nan, 3], [0.5, 0.99, np.nan]).tolist() == [True, False, False]
    assert front([1, 2], [3.0, 1.0], greater_is_better=False).tolist() == [True, True]
    assert front([], []).tolist() == []


@given(points)
def test_it_is_what_nobody_dominates(values: list[tuple[int, int]]) -> None:
    cost, quality = np.array(values, dtype=float).T
    flags = front(cost, quality)
    for i in range(len(values)):
        beaten = any(
            cost[j] <= cost[i] and quality[j] >= quality[i] and (cost[j], quality[j]) != (cost[i], quality[i])
            for j in range(len(values))
        )
        assert flags[i] == (not beaten)
    assert flags.any()
    assert (front(cost, -quality, greater_is_better=False) == flags).all()
