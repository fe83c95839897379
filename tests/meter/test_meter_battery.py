"""A laptop's battery, on files like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimwatt.meter import attribute, battery
from trimwatt.meter._base import Mark, Meter
from trimwatt.testing.meter import Clock, MeterContract


class Laptop:
    """BAT0 that gives `watts` and shows energy ("uwh"), charge ("uah") or power alone ("uw"); beside it a mouse."""

    def __init__(self, folder: Path, kind: str = "uwh", watts: float = 12.0, step_uwh: int = 1) -> None:
        self.root, self.kind, self.watts, self.step_uwh = folder, kind, watts, step_uwh
        self.clock = Clock()
        self.left_uwh = 50_000_000.0
        self.volts = 11.4
        self.status = "Discharging"
        for name, what in (("BAT0", "Battery"), ("AC", "Mains"), ("hidpp_battery_0", "Battery")):
            (folder / name).mkdir(parents=True)
            (folder / name / "type").write_text(what + "\n")
        (folder / "hidpp_battery_0" / "scope").write_text("Device\n")
        (folder / "hidpp_battery_0" / "status").write_text("Discharging\n")
        self.write()

    def write(self) -> None:
        shown = int(self.left_uwh // self.step_uwh * self.step_uwh)
        files = {"status": self.status, "voltage_now": round(self.volts * 1e6)}
        if self.kind == "uwh":
            files["energy_now"] = shown
        elif self.kind == "uah":
            files["charge_now"] = round(shown / self.volts_at_start)
            # some drivers give what flows out a sign
            files["current_now"] = -round(self.watts / self.volts * 1e6)
        if self.kind in ("uw", "uwh"):
            files["power_now"] = round(self.watts * 1e6)
        for name, text in files.items():
            (self.root / "BAT0" / name).write_text(f"{text}\n")

    volts_at_start = 11.4

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.left_uwh -= self.watts * seconds / 3600e-6 * (1 if self.status == "Discharging" else -2)
        self.write()

    def meter(self) -> battery.BatteryMeter:
        return battery.BatteryMeter(battery.find(self.root), lambda: self.clock.now_s)


def _run(laptop: Laptop, meter: battery.BatteryMeter, seconds: float, looks: int = 10) -> tuple[Mark, Mark]:
    a = meter.mark()
    for _ in range(looks):
        laptop.advance(seconds / looks)
        meter.refresh()
    return a, meter.mark()


@pytest.mark.parametrize("kind", ["uwh", "uah", "uw"])
def test_ten_minutes_of_each_kind(kind: str, tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, kind)
    meter = laptop.meter()
    domains = meter.between(*_run(laptop, meter, 600, 60))
    assert set(domains) == {"battery"}
    energy = domains["battery"]
    assert energy.joules == pytest.approx(7200, rel=0.01)
    assert energy.low <= 7200 <= energy.high
    assert energy.high - energy.low < 0.15 * 7200


def test_a_sagging_voltage_is_not_energy(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, "uah")
    meter = laptop.meter()
    a = meter.mark()
    laptop.advance(60)
    laptop.volts = 11.3
    laptop.write()
    energy = meter.between(a, meter.mark())["battery"]
    # 0.1 V of 4 Ah left would be 1.6 kJ
    assert energy.joules == pytest.approx(720, rel=0.02)


@pytest.mark.parametrize("seconds", [20, 60, 300])
def test_a_coarse_counter_is_within_its_interval(seconds: float, tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, step_uwh=10_000)
    meter = laptop.meter()
    laptop.advance(1.7)
    a, b = _run(laptop, meter, seconds)
    energy = meter.between(a, b)["battery"]
    assert energy.low <= 12 * seconds <= energy.high
    assert any("short" in w for w in meter.warnings(a, b)) is (seconds < 300)


def test_a_step_that_is_larger_than_what_was_drawn_is_in_the_interval(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, watts=0.5, step_uwh=10_000)
    meter = laptop.meter()
    energy = meter.between(*_run(laptop, meter, 20))["battery"]
    assert energy.low <= 10 <= energy.high


def test_on_mains_there_is_nothing_and_it_is_said(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path)
    laptop.status = "Charging"
    laptop.write()
    meter = laptop.meter()
    a, b = _run(laptop, meter, 60)
    assert meter.between(a, b) == {}
    assert meter.warnings(a, b) == ("battery: it is not discharging, so nothing is read from it",)


def test_a_charger_that_came_and_went_is_a_hole(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path)
    meter = laptop.meter()
    a = meter.mark()
    laptop.advance(30)
    laptop.status = "Charging"
    laptop.write()
    meter.refresh()
    laptop.advance(5)
    laptop.status = "Discharging"
    laptop.advance(300)
    b = meter.mark()
    assert meter.between(a, b) == {}
    assert "left out" in meter.warnings(a, b)[0]
    laptop.advance(300)
    assert meter.between(b, meter.mark())["battery"].joules == pytest.approx(3600, rel=0.01)


@pytest.mark.parametrize("name", ["energy_now", "status"])
def test_a_battery_that_is_taken_out_is_a_hole(name: str, tmp_path: Path) -> None:
    laptop = Laptop(tmp_path)
    meter = laptop.meter()
    a = meter.mark()
    laptop.advance(30)
    for file in (tmp_path / "BAT0").iterdir():
        if name == "status" or file.name in ("energy_now", "power_now"):
            file.unlink()
    b = meter.mark()
    assert meter.between(a, b) == {}
    assert meter.warnings(a, b)


def test_a_gain_while_discharging_is_no_negative_energy(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path)
    meter = laptop.meter()
    a = meter.mark()
    laptop.left_uwh += 500_000
    laptop.write()
    assert meter.between(a, meter.mark()) == {}


def test_it_is_the_machine_and_never_added_to_packages(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path)
    meter = laptop.meter()
    domains = meter.between(*_run(laptop, meter, 600))
    package = domains["battery"].scaled(0.5)
    assert attribute.machine(domains) == domains["battery"]
    assert attribute.machine({**domains, "package-0": package}) == package


def test_two_batteries_are_summed(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path)
    second = tmp_path / "BAT1"
    second.mkdir()
    for name, text in (("type", "Battery"), ("status", "Discharging"), ("power_now", "5000000")):
        (second / name).write_text(text + "\n")
    meter = laptop.meter()
    energy = meter.between(*_run(laptop, meter, 600, 60))["battery"]
    assert energy.joules == pytest.approx(600 * 17, rel=0.01)


def test_doctor_sees_it(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path)
    assert [p.state for p in battery.probe(tmp_path)] == ["ready"]
    laptop.status = "Full"
    laptop.write()
    (found,) = battery.probe(tmp_path)
    assert (found.state, found.fix) == ("closed", "unplug it")
    assert battery.open_meter(tmp_path / "none") is None
    assert [p.state for p in battery.probe(tmp_path / "none")] == ["absent"]


class TestBattery(MeterContract):
    @pytest.fixture
    def meter(self, tmp_path: Path) -> Meter:
        self.laptop = Laptop(tmp_path)
        return self.laptop.meter()

    def step(self, meter: Meter) -> None:
        self.laptop.advance(60)

    def lose(self, meter: Meter) -> None:
        for file in (self.laptop.root / "BAT0").iterdir():
            file.unlink()
