"""Rails and counters of hwmon chips, on files like the kernel's, sampled by a clock that is held here."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from trimwatt.meter import attribute, hwmon
from trimwatt.meter._base import Meter
from trimwatt.meter.sampled import Channel, SampledMeter, step
from trimwatt.testing.meter import Clock, MeterContract


def chip(root: Path, number: int, name: str, files: dict[str, object]) -> Path:
    """A chip below `root`, which is reached by a link as in the kernel's tree."""
    folder = root.parent / "devices" / f"i2c-{number}" / "hwmon" / f"hwmon{number}"
    folder.mkdir(parents=True)
    root.mkdir(exist_ok=True)
    for file, text in {"name": name, **files}.items():
        (folder / file).write_text(f"{text}\n")
    (folder / "device").symlink_to(folder.parent)
    (root / f"hwmon{number}").symlink_to(folder)
    return folder


@pytest.fixture
def board(tmp_path: Path) -> Path:
    root = tmp_path / "hwmon"
    chip(root, 0, "coretemp", {"temp1_input": 40000})
    chip(root, 1, "ina3221", {"power1_input": 5000000, "power1_label": "VDD_IN", "power2_input": 2000000,
                              "power2_label": "VDD_CPU"})  # fmt: skip
    chip(root, 2, "amd_energy", {"energy1_input": 1000, "energy1_label": "Ecore000",
                                 "energy2_input": 9000000, "energy2_label": "Esocket0"})  # fmt: skip
    chip(root, 3, "power_meter", {"power1_average": 231000000, "power1_average_interval": 1000})
    return root


def test_rails_are_found_and_named(board: Path) -> None:
    assert {(rail.domain, rail.kind) for rail in hwmon.rails(board)} == {
        ("board", "power"),
        ("hwmon:ina3221-VDD_CPU", "power"),
        ("hwmon:amd_energy-Ecore000", "energy"),
        ("hwmon:amd_energy-Esocket0", "energy"),
        ("hwmon:power_meter-power1", "power"),
    }


def test_two_chips_of_one_kind_keep_their_own_names(tmp_path: Path) -> None:
    root = tmp_path / "hwmon"
    for number in (1, 2):
        chip(root, number, "ina226", {"power1_input": number * 1000000})
    assert {rail.domain for rail in hwmon.rails(root)} == {"hwmon:ina226-power1", "hwmon:ina226-power1@hwmon2"}


def test_counters_and_power_are_read_together(board: Path) -> None:
    clock = Clock()
    meter = hwmon.HwmonMeter(hwmon.rails(board), clock=lambda: clock.now_s)
    a = meter.mark()
    clock.advance(0.4)
    (board / "hwmon2" / "energy2_input").write_text("29000000\n")
    b = meter.mark()
    domains = meter.between(a, b)
    assert domains["hwmon:amd_energy-Esocket0"].joules == pytest.approx(20)
    assert domains["hwmon:ina3221-VDD_CPU"].joules == pytest.approx(0.8)
    assert domains["board"].joules == pytest.approx(2)
    assert domains["board"].low == pytest.approx(2 * (1 - hwmon.ACCURACY))
    assert attribute.machine(domains) == domains["board"]
    assert attribute.machine({**domains, "package-0": domains["board"].scaled(0.1)}) == domains["board"].scaled(0.1)


def _sampled(power: dict[str, float | None], clock: Clock, every_s: float = 0.1) -> SampledMeter:
    return SampledMeter({"rail": lambda: power["rail"]}, every_s, clock=lambda: clock.now_s)


def test_a_ramp_is_integrated_exactly() -> None:
    clock, power = Clock(0.0), {"rail": 0.0}
    meter = _sampled(power, clock)  # type: ignore[arg-type]
    a = meter.mark()
    for _ in range(100):
        clock.advance(0.1)
        power["rail"] = 7 * clock.now_s
        meter.sample()
    energy = meter.between(a, meter.mark())["rail"]
    assert energy.joules == pytest.approx(350)


def test_steps_between_samples_are_within_the_interval() -> None:
    rng = np.random.default_rng(5)
    clock, power = Clock(), {"rail": 10.0}
    meter = _sampled(power, clock)  # type: ignore[arg-type]
    a, true = meter.mark(), 0.0
    for _ in range(200):
        before, power["rail"] = power["rail"], float(rng.choice([10, 100]))
        at = rng.uniform(0, 0.1)
        true += before * at + power["rail"] * (0.1 - at)
        clock.advance(0.1)
        meter.sample()
    energy = meter.between(a, meter.mark())["rail"]
    assert energy.low <= true <= energy.high
    assert energy.joules == pytest.approx(true, rel=0.1)


def test_a_gap_is_seen_and_widens() -> None:
    clock, power = Clock(), {"rail": 10.0}
    meter = _sampled(power, clock)  # type: ignore[arg-type]
    a = meter.mark()
    clock.advance(5)
    b = meter.mark()
    energy = meter.between(a, b)["rail"]
    assert (energy.low, energy.joules, energy.high) == pytest.approx((0, 50, 100))
    assert any("5 s passed without a sample" in w for w in meter.warnings(a, b))


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), -1.0])
def test_power_that_cannot_be_is_a_hole(bad: float | None) -> None:
    clock = Clock()
    power: dict[str, float | None] = {"rail": 10.0}
    meter = _sampled(power, clock)
    a = meter.mark()
    clock.advance(0.1)
    power["rail"] = bad
    during = meter.mark()
    power["rail"] = 10.0
    back = meter.mark()
    clock.advance(0.4)
    b = meter.mark()
    assert meter.between(a, b) == {}
    assert meter.between(a, during) == {}
    assert "left out" in meter.warnings(a, b)[0]
    assert meter.between(back, b)["rail"].joules == pytest.approx(4)


def test_the_thread_samples_and_ends_with_the_meter() -> None:
    others = set(threading.enumerate())
    meter = SampledMeter({"rail": lambda: 10.0}, 0.005)
    a = meter.mark()
    (thread,) = set(threading.enumerate()) - others
    first = meter._at_s
    deadline = time.monotonic() + 60
    while meter._at_s == first and time.monotonic() < deadline:
        time.sleep(0.005)
    b = meter.mark()
    assert meter._at_s > first
    assert meter.between(a, b)["rail"].joules == pytest.approx(10 * (b.time_s - a.time_s))
    del meter
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()


def test_a_step_by_hand() -> None:
    after = step(Channel(10), 30, 0.5, 1.0)
    assert (after.joules, after.doubt_j, after.gap_s) == (10, 5, 0)


def test_doctor_sees_each_rail(board: Path) -> None:
    (board / "hwmon1" / "power2_input").write_text("")
    states = {found.detail.partition(";")[0].partition(": ")[0]: found.state for found in hwmon.probe(board)}
    assert states["board"] == "ready"
    assert states["hwmon:ina3221-VDD_CPU"] == "closed"
    assert [p.state for p in hwmon.probe(board / "none")] == ["absent"]
    assert hwmon.open_meter(board / "none") is None
    assert hwmon.open_meter(board) is not None


class TestHwmon(MeterContract):
    @pytest.fixture
    def meter(self, board: Path) -> Meter:
        self.clock, self.board = Clock(), board
        return hwmon.HwmonMeter(hwmon.rails(board), clock=lambda: self.clock.now_s)

    def step(self, meter: Meter) -> None:
        self.clock.advance(0.3)
        counter = self.board / "hwmon2" / "energy2_input"
        counter.write_text(f"{int(counter.read_text()) + 1000000}\n")
        (self.board / "hwmon1" / "power1_input").write_text("7000000\n")

    def lose(self, meter: Meter) -> None:
        for name in ("hwmon1/power1_input", "hwmon2/energy2_input"):
            (self.board / name).unlink()
