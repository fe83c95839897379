"""Shared fixtures."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# a loaded host is slow, not wrong; and what fails here fails everywhere, the examples drawn included
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: run in parallel, a long one that comes last leaves every other worker idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def _seed() -> None:
    """Every common source of random numbers as it was at the start; PyTorch's where it is loaded."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """What a fixture draws must not depend on the tests that ran before it."""
    _seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Nor must what a test draws."""
    _seed()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, or a skip that says why there is none."""
    named = os.environ.get("TRIMWATT_DATA")
    folder = Path(named or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        asked = f"TRIMWATT_DATA names {named}, which is no folder" if named else f"there is no {folder}"
        pytest.skip(f"real data are not at hand: {asked}; set TRIMWATT_DATA to their folder")
    return folder


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    # a calibration of the machine that runs the tests must not change what they see
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-config"))
    # nor may the tests write a key where the user's own is
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    for name in ("TRIMWATT_KEY", "TRIMWATT_STORE", "TRIMWATT_POWERCAP", "TRIMWATT_ZONE", "TRIMWATT_NVML"):
        monkeypatch.delenv(name, raising=False)
