"""No alarm where there is nothing: neither withheld nor so much as a warning."""

from __future__ import annotations

from pathlib import Path

import pytest
from clean_tables import CLEAN

pytest.importorskip("sklearn")
pytest.importorskip("pandas")


def test_twenty_or_more_are_listed() -> None:
    assert len(CLEAN) >= 20


_SLOW = {"PneumoniaMNIST"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in _SLOW else name for name in CLEAN]
)
def test_honest_rows_raise_no_alarm(name: str, shared_data: Path) -> None:
    data = CLEAN[name](shared_data)
    assert not data.independence.withheld
    assert data.independence.rows < 0.01 * (len(data.val) + len(data.test))
    assert not [warning for warning in data.warnings if "independent" in warning or "kept in one split" in warning]
