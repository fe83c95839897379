"""The model card: what it claims is what the study found, and its code is code."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
import sample_study as samples

from trimwatt.report import cards

NAMED = {"kind": "table", "named": True, "shape": [], "dtype": "", "derive": {},
         "columns": [{"name": "age", "dtype": "float32"}, {"name": "wo`rk", "dtype": "string"}]}  # fmt: skip
PACKED = {**NAMED, "tensors": [{"name": "numbers", "dtype": "float32", "columns": ["age", "wo`rk"]}]}
ARRAY = {"kind": "image", "named": False, "shape": [28, 28], "dtype": "uint8", "columns": [], "derive": {}}


def manifest(**changes: Any) -> dict[str, Any]:
    return {
        "task": "classification", "metric": "f1", "runtime": "onnxruntime", "classes": ["no", "yes"], "input": NAMED,
        "recipe": [{"technique": "boosted", "rounds": 30}], "files": {"model.onnx": "0" * 64}, "figures": {},
        "versions": {"trimwatt": "0.1.0"}, "created": "2026-03-02T10:00:00+00:00", **changes,
    }  # fmt: skip


def blocks(card: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", card, re.MULTILINE | re.DOTALL)


def test_the_card_has_quality_energy_and_recipe() -> None:
    card = cards.card(samples.sample(), manifest())
    for words in (
        "# boosted trees, ONNX Runtime", "f1 0.725 \\[0.711 to 0.739\\]".replace("\\", ""), "4,884 test rows",
        "estimated", "154x less than boosted trees", "1. boosted (rounds=30)", "Carbon is unknown", "402 kB",
        "after 2,610 predictions", "52 rows stand in training",
    ):  # fmt: skip
        assert words in card, words


@pytest.mark.parametrize("described", [NAMED, PACKED, ARRAY])
@pytest.mark.parametrize("classes", [["a", "b"], None])
def test_its_code_is_python(described: dict[str, Any], classes: list[str] | None) -> None:
    (code,) = blocks(cards.card(samples.sample(), manifest(input=described, classes=classes)))
    ast.parse(code)
    assert "onnxruntime.InferenceSession('model.onnx')" in code


def test_another_runtime_is_opened_by_trimwatt() -> None:
    (code,) = blocks(cards.card(samples.sample(), manifest(runtime="sklearn", files={"model.skops": "0"})))
    ast.parse(code)
    assert "tw.load" in code


def test_columns_as_a_given_model_had_them_are_cast_by_trimwatt() -> None:
    columns = [{"name": "age", "dtype": "int64"}, {"name": "work", "dtype": "category"}]
    (code,) = blocks(cards.card(samples.sample(), manifest(input={**NAMED, "stored": True, "columns": columns})))
    ast.parse(code)
    assert "tw.load" in code


def test_packed_columns_are_fed_by_what_the_file_says_of_them() -> None:
    (code,) = blocks(cards.card(samples.sample(), manifest(input=PACKED)))
    assert "'wo\\x60rk': \"\"," in code and "'age': 0.0," in code
    assert 'custom_metadata_map["trimwatt.inputs"]' in code
    # dates are made of columns as stored, which takes more than a few lines
    files = {"model.onnx": "0" * 64, "columns.json": "0" * 64}
    for runtime in ("onnxruntime", "openvino"):
        (code,) = blocks(cards.card(samples.sample(), manifest(input=PACKED, files=files, runtime=runtime)))
        assert "tw.load" in code


def test_names_are_no_markup() -> None:
    card = cards.card(samples.hostile(), manifest(recipe=[{"technique": samples.HOSTILE, "x": "```"}]))
    assert not re.search(r"(?<!\\)<script", card)
    assert card.count("```") == 4


def test_what_was_not_confirmed_is_said() -> None:
    assert "Not confirmed" in cards.card(samples.sample() | {"confirmed": False}, manifest())


def test_a_card_of_a_bare_study_makes_no_figure_up() -> None:
    card = cards.card(samples.bare() | {"recommended": "t1"}, manifest())
    assert "unknown" in card and "0 J" not in card
