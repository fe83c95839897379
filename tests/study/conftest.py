"""Rows that several studies run on, and sessions whose cost is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from known_costs import known_costs


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    # as few as let every model be fitted in a moment
    np.savez(path, x=x[:900].astype(np.float32), y=y[:900])
    return path


@pytest.fixture(name="known_costs")
def _known_costs() -> Iterator[None]:
    with known_costs():
        yield
