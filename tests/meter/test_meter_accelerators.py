from __future__ import annotations

import time
from pathlib import Path

import pytest

from trimwatt.meter import accelerators
from trimwatt.meter.accelerators import AcceleratorMeter, find


def _put(root: Path, name: str, text: str = "") -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def _amd(root: Path, card: str = "card1") -> Path:
    _put(root, f"sys/class/drm/{card}/device/vendor", "0x1002\n")
    return _put(root, f"sys/class/drm/{card}/device/hwmon/hwmon3/power1_average", "150000000\n")


def test_an_empty_machine_has_none(tmp_path: Path) -> None:
    assert find(tmp_path, {}) == ()
    assert accelerators.open_meter(tmp_path) is None
    assert accelerators.probe(tmp_path) == ()


@pytest.mark.parametrize(("named", "watts"), [("v3-8", 251), ("v2-8", 249), ("v4-16", 170)])
def test_a_tpu_is_estimated_and_said_to_be(tmp_path: Path, named: str, watts: float) -> None:
    for i in range(4):
        _put(tmp_path, f"dev/accel{i}")
    chips = find(tmp_path, {"TPU_ACCELERATOR_TYPE": named})
    assert len(chips) == 4
    meter = AcceleratorMeter(chips)
    a = meter.mark()
    time.sleep(0.02)
    b = meter.mark()
    domains, whole = meter.between(a, b), watts * (b.time_s - a.time_s)
    assert meter.origin == "estimated"
    assert len(domains) == 4
    for energy in domains.values():
        assert energy.origin == "estimated"
        assert 0 < energy.low < energy.joules < whole < energy.high
        assert energy.joules == pytest.approx(whole / 2)
    said = meter.warnings(a, b)
    assert sum("estimated" in line and f"{watts} W" in line for line in said) == 4


@pytest.mark.parametrize("named", ["v5litepod-8", "v6e-4", "strange"])
def test_what_is_in_no_table_is_absent_and_said(tmp_path: Path, named: str) -> None:
    meter = AcceleratorMeter(find(tmp_path, {"TPU_ACCELERATOR_TYPE": named}))
    a, b = meter.mark(), meter.mark()
    assert meter.between(a, b) == {}
    (domain,) = meter.closed
    (said,) = [line for line in meter.warnings(a, b) if domain in line]
    assert named in said
    assert "its energy is missing" in said


def test_an_amd_gpu_that_shows_its_power_is_measured(tmp_path: Path) -> None:
    _amd(tmp_path)
    _put(tmp_path, "sys/class/drm/card1-DP-1/device/vendor", "0x1002\n")
    _put(tmp_path, "sys/class/drm/card0/device/vendor", "0x8086\n")
    meter = AcceleratorMeter(find(tmp_path, {}))
    a = meter.mark()
    time.sleep(0.05)
    b = meter.mark()
    (energy,) = meter.between(a, b).values()
    assert energy.origin == meter.origin == "measured"
    assert energy.joules == pytest.approx(150 * (b.time_s - a.time_s), rel=1e-6)
    assert accelerators.probe(tmp_path)[0].state == "ready"


def test_a_sensor_lost_on_the_way_is_absent(tmp_path: Path) -> None:
    file = _amd(tmp_path)
    meter = AcceleratorMeter(find(tmp_path, {}))
    a = meter.mark()
    file.unlink()
    b = meter.mark()
    assert meter.between(a, b) == {}
    assert any("left out" in line for line in meter.warnings(a, b))


def test_an_amd_gpu_without_a_sensor_and_a_gaudi_are_said(tmp_path: Path) -> None:
    _amd(tmp_path).unlink()
    _put(tmp_path, "sys/class/accel/accel0/device/vendor", "0x1da3\n")
    chips = find(tmp_path, {})
    assert [chip.kind for chip in chips] == ["AMD GPU card1", "Gaudi accelerator accel0"]
    assert {probe.state for probe in accelerators.probe(tmp_path)} == {"closed"}
