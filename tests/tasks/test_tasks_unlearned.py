from __future__ import annotations

import numpy as np

from trimwatt import tasks

CLASSES = ("common", "rare", "absent")
TRUTH = np.array([0] * 8 + [1] * 2)


def _warnings(answers: np.ndarray) -> list[str]:
    return tasks.get("classification").find_unlearned(TRUTH[: len(answers)], answers, CLASSES)


def test_a_class_that_is_never_recognised_is_named_with_its_rows() -> None:
    (said,) = _warnings(np.zeros(10, dtype=int))
    assert "recognises no row of rare (0 of 2 rows): " in said
    assert "absent" not in said and "common" not in said
    # a wrong answer of that class is no recognition, and one that is outside all lists is none either
    answers = np.array([1, 3] + [0] * 8)
    assert "rare (0 of 2 rows)" in _warnings(answers)[0]
    answers[-1] = 1
    assert _warnings(answers) == []


def test_probabilities_are_read_by_the_likeliest_class() -> None:
    answers = np.tile([0.6, 0.4, 0.0], (10, 1))
    assert "rare" in _warnings(answers)[0]
    answers[-1] = [0.4, 0.6, 0]
    assert _warnings(answers) == []


def test_answers_to_the_first_folds_are_held_to_their_rows() -> None:
    assert _warnings(TRUTH[:5]) == []
    assert "rare (0 of 1 rows)" in _warnings(np.zeros(9, dtype=int))[0]


def test_nothing_is_said_of_values() -> None:
    assert tasks.get("regression").find_unlearned(np.arange(10.0), np.zeros(10), None) == []
