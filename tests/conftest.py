"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# a loaded host is slow, not wrong
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, or a skip that says so."""
    folder = Path(os.environ.get("TRIMWATT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real data are not at hand: set TRIMWATT_DATA to their folder")
    return folder


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    # a calibration of the machine that runs the tests must not change what they see
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-config"))
    # nor may the tests write a key where the user's own is
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    for name in ("TRIMWATT_KEY", "TRIMWATT_STORE", "TRIMWATT_POWERCAP", "TRIMWATT_ZONE", "TRIMWATT_NVML"):
        monkeypatch.delenv(name, raising=False)
