"""Which class each output of a model stands for."""

from __future__ import annotations

from typing import Any

import pytest

from trimwatt.errors import InputError
from trimwatt.framework.classes import Matched, describe_missing, from_names, match, parse_names


@pytest.mark.parametrize(
    ("width", "classes", "told", "own", "answers", "columns"),
    [
        (3, ("a", "b", "c"), None, None, ("a", "b", "c"), None),
        (5, (1, 3), None, None, (1, 3, 0, 2, 4), (2, 0, 3, 1, 4)),
        (4, ("0001", "3"), None, None, ("0001", "3", "0", "2"), (2, 0, 3, 1)),
        (3, ("cat", "dog"), ("dog", "owl", "cat"), None, ("cat", "dog", "owl"), (1, 2, 0)),
        (3, ("cat", "dog"), None, ("dog", "owl", "cat"), ("cat", "dog", "owl"), (1, 2, 0)),
        (3, (0, 2), None, ("dog", "owl", "cat"), (0, 2, 1), (0, 2, 1)),
        (2, (0, 1), None, ("1", "0"), (0, 1), (1, 0)),
        (3, (1, 2, 3), None, (0, 1, 2), (1, 2, 3, 0), (3, 0, 1)),
        (3, (0, 1, 5), None, (0, 1, 2), (0, 1, 5, 2), (0, 1, 3)),
        (2, (1, 2), None, (0, 1), (1, 2, 0), (2, 0)),
        (3, (-1, 0, 1), None, (0, 1, 2), (-1, 0, 1, 2), (1, 2, 3)),
        (3, (2, 4, 6), None, (0, 1, 2), (2, 4, 6, 0, 1), (3, 4, 0)),
        (3, (7, 8, 9), None, (0, 1, 2), (7, 8, 9), None),
        (2, ("a", "b", "c"), None, ("a", "c"), ("a", "b", "c"), (0, 2)),
        (3, ("a", "b"), None, ("b", "c", "d"), ("a", "b", "c", "d"), (1, 2, 3)),
        (4, ("a", "b"), ("a", "crane", "b", "crane"), None, ("a", "b", "crane", "crane"), (0, 2, 1, 3)),
    ],
)
def test_columns_find_their_class(
    width: int, classes: Any, told: Any, own: Any, answers: tuple[Any, ...], columns: tuple[int, ...] | None
) -> None:
    found = match(width, classes, told, own)
    assert (found.answers, found.columns) == (answers, columns)


@pytest.mark.parametrize(
    ("width", "classes", "told", "own", "said"),
    [
        (5, ("cat", "dog"), None, None, "gives 5 columns, data have 2 classes.*--classes FILE"),
        (5, (0, 5), None, None, "gives 5 columns"),
        (2, ("a", "b", "c"), None, None, "gives 2 columns"),
        (3, ("a", "b"), ("a", "b"), None, "classes names 2 outputs, the model has 3"),
        (3, ("a", "b"), ("x", "y", "z"), None, "classes names 'x', 'y', 'z', the data have 'a', 'b'"),
        (3, ("a", "b"), ("a", "b", "a"), None, "'a' stands for outputs 0, 2"),
        (3, (7, 8, 9), None, (1, 2, 3), "the model knows classes 1, 2, 3"),
    ],
)
def test_what_cannot_be_told_is_asked(width: int, classes: Any, told: Any, own: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        match(width, classes, told, own)


def test_what_a_reader_must_know_is_said() -> None:
    assert describe_missing(Matched(("a", "b"), None), ("a", "b")) == ()
    (beyond,) = describe_missing(match(5, (1, 3)), (1, 3))
    assert "answers 5 classes, of which the data hold 2 (1, 3)" in beyond and "an answer such as 0" in beyond
    (numbered,) = describe_missing(match(2, (0, 1), None, ("no", "yes")), (0, 1))
    assert "its classes as 'no', 'yes': the data's 0, 1 were taken as the numbers of its outputs" in numbered
    (unknown,) = describe_missing(match(2, ("a", "b", "c"), None, ("a", "c")), ("a", "b", "c"))
    assert unknown == "the model has no output for 'b': it is wrong on each of their rows"


def test_class_lists_are_read_in_the_forms_that_models_carry() -> None:
    for names in (["a", "b"], {0: "a", 1: "b"}, {"1": "b", "0": "a"}, {"a": 0, "b": 1}):
        assert from_names(names, 2) == ("a", "b")
    for other in ("ab", ["a"], ["a", None], {0: "a", 2: "b"}, None, 3, [["a"], ["b"]]):
        assert from_names(other, 2) is None
    for text in ('["a", "b"]', "{0: 'a', 1: 'b'}", "a\nb\n", "a, b"):
        assert from_names(parse_names(text), 2) == ("a", "b")
