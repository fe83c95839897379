"""Recipes are data with a content address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt import recipe
from trimwatt.errors import InputError


@dataclass(frozen=True)
class Grow:
    name: ClassVar[str] = "grow"
    needs: ClassVar[frozenset[str]] = frozenset({"none"})
    gives: ClassVar[str | None] = "torch"
    width: int = 1


@dataclass(frozen=True)
class Trim:
    name: ClassVar[str] = "trim"
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})
    gives: ClassVar[str | None] = None
    share: float = 0.5


def test_steps_follow_each_other_or_are_refused_when_built() -> None:
    assert recipe.check((Grow(), Trim()), "none") == "torch"
    with pytest.raises(InputError, match="step 'trim' needs a model as torch, got 'none'; reorder"):
        recipe.check((Trim(), Grow()), "none")


def test_json_names_the_technique_and_every_parameter() -> None:
    assert recipe.to_json((Trim(0.25),)) == [{"technique": "trim", "share": 0.25}]


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_the_address_is_that_of_the_content(a: float, b: float) -> None:
    first, second = (recipe.digest(recipe.to_json((Trim(share),))) for share in (a, b))
    assert (first == second) == (a == b)


def test_prefixes_from_the_longest_to_nothing() -> None:
    assert recipe.prefixes((Grow(), Trim())) == [(Grow(), Trim()), (Grow(),), ()]
