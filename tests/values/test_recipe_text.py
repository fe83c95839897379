"""Recipes as text: what is written is read again, and what cannot be read is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.errors import InputError
from trimwatt.technique import make, registry, text

NAMES = sorted(registry())


@given(st.lists(st.sampled_from(NAMES), max_size=4), st.sampled_from(["onnxruntime", "openvino-bf16", "sklearn"]))
def test_every_chain_of_techniques_is_read_as_it_was_written(names: list[str], runtime: str) -> None:
    steps = tuple(make(name) for name in names)
    read = text.read(text.write(steps, runtime))
    assert read.steps == steps and (read.runtime or "onnxruntime") == runtime


@given(st.text(max_size=12), st.lists(st.text(max_size=6), min_size=1, max_size=3), st.floats(1e-9, 1e3))
def test_any_word_list_and_number_is_read_as_it_was_written(word: str, names: list[str], number: float) -> None:
    steps = (
        make("static-int8", keep_float=tuple(names)),
        make("finetune", learning_rate=number),
        make("distill", parameters=(("hidden", (64, 3)), (word, word))),
    )
    assert text.read(text.write(steps)).steps == steps


@pytest.mark.parametrize(
    ("line", "steps", "runtime"),
    [
        ("given", (), None),
        ("  given@openvino ", (), "openvino"),
        ("given + static-int8", (make("static-int8"),), None),
        ("mlp(hidden=64-32)", (make("mlp", hidden=(64, 32)),), None),
        ("mlp(hidden=32)", (make("mlp", hidden=(32,)),), None),
        ("mlp(hidden=[32])", (make("mlp", hidden=(32,)),), None),
        ("linear( strength = 1 )", (make("linear", strength=1.0),), None),
        ("finetune(flip=True, patience=None)+lower", (make("finetune", flip=True), make("lower")), None),
        ("forest()", (make("forest"),), None),
    ],
)
def test_what_a_person_would_type_is_understood(line: str, steps: tuple[Any, ...], runtime: str | None) -> None:
    assert text.read(line) == (steps, runtime)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "a step is a technique's name"),
        ("forest +", "a step is a technique's name"),
        ("forest(", "a step is a technique's name"),
        ("forest(trees=30) linear", "a step is a technique's name"),
        ("forest(trees)", "a parameter is written like share=0.4, got 'trees'"),
        ("forest(trees=)", "'' is no value"),
        ("forest(trees=[1)", "is no value"),
        ("forest(tree=3)", "forest has no parameter 'tree'; did you mean trees"),
        ("forest(trees=0)", "trees is the size of the forest"),
        ("foerst", "technique 'foerst' is unknown; did you mean forest"),
        ("forest @", "one runtime stands after @"),
        ("forest @ a @ b", "one runtime stands after @"),
        ("linear + given", "technique 'given' is unknown"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(line: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        text.read(line)
    assert said in str(caught.value) and f"recipe {line!r}" in str(caught.value) and "\n" not in str(caught.value)


def test_measured_figures_are_no_part_of_the_line() -> None:
    costs = tuple((f"layer{n}", 8, 8, 1e-6) for n in range(12))
    assert text.write((make("prune-budget", share=0.4, costs=costs),)) == "prune-budget(share=0.4)"
