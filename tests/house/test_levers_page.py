"""docs/levers.md is what the records say, and its parts tell levers apart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import levers_page

    yield levers_page
    sys.modules.pop("levers_page")


def test_the_page_is_what_the_records_say(maker: Any) -> None:
    assert (ROOT / "docs" / "levers.md").read_text(encoding="utf-8") == maker.page()


@pytest.mark.parametrize(
    ("label", "lever"),
    [
        ("static-int8(activations=int8)", "static-int8"),
        ("finetune(epochs=3) + prune-blocks(share=0.4) + finetune(epochs=3, learning_rate=0.003)", "prune-blocks"),
        ("finetune(epochs=3)", "finetune"),
        ("equalise + static-int8", None),
        ("static-int8, openvino", None),
        ("openvino", "openvino"),
    ],
)
def test_a_lever_alone_is_told_from_a_chain(maker: Any, label: str, lever: str | None) -> None:
    assert maker._alone(label) == lever


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1,230"), (12.345, "12.3"), (0.012345, "0.0123"), (0.0, "0")])
def test_figures_are_three_and_no_power_of_ten(maker: Any, value: float, text: str) -> None:
    assert maker._figures(value) == text
