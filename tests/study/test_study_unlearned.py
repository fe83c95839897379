from __future__ import annotations

import numpy as np

from trimwatt.study import unlearned
from trimwatt.workload import Split

CLASSES = ("common", "rare", "absent")
TRUTH = np.array([0] * 8 + [1] * 2)
ROWS = Split(np.zeros((10, 1), np.float32), TRUTH)


def test_a_class_that_is_never_recognised_is_named_with_its_rows() -> None:
    (said,) = unlearned.warnings(ROWS, np.zeros(10, dtype=int), CLASSES)
    assert "recognises no row of rare (0 of 2 rows): " in said
    assert "absent" not in said and "common" not in said
    # a wrong answer of that class is no recognition, and one that is outside all lists is none either
    answers = np.array([1, 3] + [0] * 8)
    assert "rare (0 of 2 rows)" in unlearned.warnings(ROWS, answers, CLASSES)[0]
    answers[-1] = 1
    assert unlearned.warnings(ROWS, answers, CLASSES) == []


def test_probabilities_are_read_by_the_likeliest_class() -> None:
    answers = np.tile([0.6, 0.4, 0.0], (10, 1))
    assert "rare" in unlearned.warnings(ROWS, answers, CLASSES)[0]
    answers[-1] = [0.4, 0.6, 0]
    assert unlearned.warnings(ROWS, answers, CLASSES) == []


def test_answers_to_the_first_folds_are_held_to_their_rows() -> None:
    assert unlearned.warnings(ROWS, TRUTH[:5], CLASSES) == []
    assert "rare (0 of 1 rows)" in unlearned.warnings(ROWS, np.zeros(9, dtype=int), CLASSES)[0]


def test_nothing_is_said_of_values_or_where_no_answers_are_kept() -> None:
    assert unlearned.warnings(ROWS, np.zeros(10), None) == []
    assert unlearned.warnings(ROWS, None, CLASSES) == []
