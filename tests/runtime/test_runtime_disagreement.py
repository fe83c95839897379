"""What makes an export another model: by how many rows, and by how much."""

from __future__ import annotations

import numpy as np
import pytest

from trimwatt import tasks

CLASSES, VALUES = tasks.get("classification"), tasks.get("regression")


def answers(rows: int = 500) -> np.ndarray:
    first = np.random.default_rng(0).uniform(0.7, 0.99, rows)
    return np.stack([first, 1 - first], axis=1)


def swapped(rows: int) -> np.ndarray:
    got = answers()
    got[:rows] = got[:rows, ::-1]
    return got


def test_one_row_of_five_hundred_refuses_an_exact_export() -> None:
    assert CLASSES.disagreement(answers(), answers()) is None
    assert "equal predictions 99.80%" in (CLASSES.disagreement(answers(), swapped(1)) or "")


@pytest.mark.parametrize(("rows", "refused"), [(0, False), (10, False), (11, True)])
def test_a_coarse_runtime_may_miss_the_bound_in_its_share_of_rows(rows: int, refused: bool) -> None:
    found = CLASSES.disagreement(answers(), swapped(rows), error_bound=0.05, share=0.98)
    assert (found is not None) == refused


def test_errors_of_values_are_relative_to_their_spread() -> None:
    values = np.linspace(0, 1000, 101)
    assert VALUES.disagreement(values, values + 0.9) is None
    assert VALUES.disagreement(values, values + 1.1) is not None


def test_nan_and_another_shape_are_refused() -> None:
    broken = answers()
    broken[3, 0] = np.nan
    assert "NaN" in (CLASSES.disagreement(answers(), broken) or "")
    assert "shape" in (CLASSES.disagreement(answers(), answers(499)) or "")
