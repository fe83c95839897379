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
    # so few, and of so few classes, that every model is fitted and searched in a moment
    few = np.flatnonzero(y < 4)[:600]
    np.savez(path, x=x[few].astype(np.float32), y=y[few])
    return path


@pytest.fixture(name="known_costs")
def _known_costs() -> Iterator[None]:
    with known_costs():
        yield
