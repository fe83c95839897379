"""The example of a recurrent network on real data."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest


def test_windows_are_whole_and_validation_shares_no_minute_with_training(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    monkeypatch.setenv("TRIMWATT_DATA", str(shared_data))
    example = importlib.import_module("examples.gru_occupancy")
    data = example.data()
    assert data.train.x.shape == (1513, 32, 5) and data.test.x.shape == (2665 - 31 + 9752 - 31, 32, 5)
    assert data.train.x.dtype == np.float32 and 0.1 < data.train.y.mean() < 0.3
    # humidity ratio has so many digits that equal ones are the same minute
    trained = {tuple(minute) for minute in data.train.x.reshape(-1, 5).tolist()}
    assert tuple(data.val.x[0, 0].tolist()) not in trained
