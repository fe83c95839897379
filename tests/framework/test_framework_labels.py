"""The classes of a given model beside those of the data."""

from __future__ import annotations

from typing import Any

import pytest

from trimwatt.errors import InputError
from trimwatt.framework.classes import match
from trimwatt.framework.spelling import in_form_of


@pytest.mark.parametrize(
    ("known", "classes", "codes"),
    [
        (["a", "b"], ["a", "b", "c"], (0, 1)),
        ([1, 0], [0, 1], (1, 0)),
        (["0", "1"], [0, 1], (0, 1)),
        ([0, 1], ["0", "1"], (0, 1)),
        ([0.0, 1.0], ["0", "1"], (0, 1)),
        (["0.0", "1.0"], [0, 1], (0, 1)),
        ([False, True], [0, 1], (0, 1)),
        ([True, False], ["False", "True"], (1, 0)),
        ([False, True], ["0", "1"], (0, 1)),
        (["true", "false"], [False, True], (1, 0)),
        ([10, 9], ["10", "9"], (0, 1)),
        (["007", "8"], [7, 8], (0, 1)),
        (["1", "01"], ["1", "01"], (0, 1)),
        ([0, 1, 2], ["a", "b", "c"], (0, 1, 2)),
        ([2, 0], ["a", "b", "c"], (2, 0)),
        (["0.5", "1"], [0.5, 1], (0, 1)),
        ([2**53 + 1, 2**53], [str(2**53), str(2**53 + 1)], (1, 0)),
    ],
)
def test_the_same_label_written_otherwise_is_the_same(known: list[Any], classes: list[Any], codes: Any) -> None:
    found = match(len(known), tuple(classes), own=tuple(known))
    assert (found.columns or tuple(range(len(found.answers)))) == codes
    assert found.answers == tuple(classes)


@pytest.mark.parametrize(
    ("known", "classes"),
    [(["a!", "b!"], ["a", "b"]), (["yes", "no"], ["YES", "NO"]), ([5, 6], ["a", "b"])],
)
def test_labels_that_differ_are_refused_with_both(known: list[Any], classes: list[Any]) -> None:
    assert in_form_of(known, classes) is None
    with pytest.raises(InputError, match=f"{known[0]!r}, {known[1]!r}, the data have {classes[0]!r}, {classes[1]!r}"):
        match(len(known), tuple(classes), own=tuple(known))


def test_what_is_ambiguous_is_not_matched() -> None:
    assert in_form_of(["1", "01"], [1, 2]) is None
    assert in_form_of([2**53 + 1], [str(2**53), "7"]) is None
