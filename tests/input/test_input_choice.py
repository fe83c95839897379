"""A task that was chosen for the user is announced with the option that chooses the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trimwatt.input import load

_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=(3000, 3))


def _notes(y: Any, **options: Any) -> list[str]:
    data, _ = load((_X, y), **options)
    return [warning for warning in data.warnings if "--task" in warning]


def test_whole_numbers_taken_as_classes_or_values_are_told() -> None:
    (ages,) = _notes(_RNG.integers(18, 60, 3000))
    assert ages.endswith(
        "holds 42 whole numbers from 18 to 59, each taken as a class; --task regression predicts the number"
    )
    (stars,) = _notes(_RNG.integers(1, 6, 3000).astype(float))
    assert "5 whole numbers from 1 to 5, each taken as a class" in stars
    (counts,) = _notes(_RNG.integers(0, 90, 3000))
    assert "90 whole numbers from 0 to 89, taken as values; --task classification" in counts


@pytest.mark.parametrize(
    ("y", "options"),
    [
        (_RNG.integers(0, 10, 3000), {}),
        (_RNG.integers(0, 2, 3000) * 4 + 1, {}),
        (np.array(["a", "b", "c"])[_RNG.integers(0, 3, 3000)], {}),
        (_RNG.normal(size=3000), {}),
        (_RNG.integers(0, 10**6, 3000), {}),
        (_RNG.integers(18, 60, 3000), {"task": "classification"}),
        (_RNG.integers(18, 60, 3000), {"task": "regression"}),
    ],
)
def test_what_is_plain_or_was_asked_is_not(y: Any, options: dict[str, Any]) -> None:
    assert _notes(y, **options) == []
