from __future__ import annotations

import importlib
import time
from pathlib import Path

import pytest

from trimwatt.energy import Energy
from trimwatt.meter import cpu_model, pick
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.fake import Clock, FakeMeter, FakePowercap, FakeZone, constant
from trimwatt.meter.powercap import zones
from trimwatt.meter.rapl import RaplMeter
from trimwatt.testing import meter as testing
from trimwatt.testing.meter import MeterContract

STRANGER = """
import time
from trimwatt.energy import Energy
from trimwatt.meter._base import Mark

class Stranger:
    name, origin = "stranger", "measured"

    def mark(self):
        return Mark(time.monotonic(), time.process_time())

    def between(self, a, b):
        joules = 70 * (b.time_s - a.time_s)
        return {"package-0": Energy(joules, joules, joules, "measured")}

def open_meter():
    return Stranger()
"""


class TestCpuModel(MeterContract):
    @pytest.fixture
    def meter(self) -> Meter:
        return cpu_model.detect()


class TestWhateverIsHere(MeterContract):
    @pytest.fixture
    def meter(self) -> Meter:
        return pick.pick()


class TestFake(MeterContract):
    @pytest.fixture
    def meter(self) -> Meter:
        return FakeMeter(Clock())

    def step(self, meter: Meter) -> None:
        assert isinstance(meter, FakeMeter)
        meter.clock.advance(0.02)


class TestRapl(MeterContract):
    # counters are read exactly; marks must stay below a millisecond
    most_mark_s = 0.001

    @pytest.fixture
    def meter(self, tmp_path: Path) -> Meter:
        two = [
            FakeZone("intel-rapl:0", "package-0", constant(50)),
            FakeZone("intel-rapl:0:0", "core", constant(20)),
            FakeZone("intel-rapl:0:1", "dram", constant(5)),
        ]
        self.tree = FakePowercap(tmp_path, two)
        return RaplMeter(zones(self.tree.root))

    def step(self, meter: Meter) -> None:
        time.sleep(0.01)
        self.tree.advance(0.01)

    def lose(self, meter: Meter) -> None:
        self.tree.close("intel-rapl:0")


def test_a_plugin_is_found_and_held_to_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # installed as any package is: a folder on the path, with its metadata beside it
    package = tmp_path / "strangers_sensor-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers-sensor\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[trimwatt.sensors]\nstranger = strangers_sensor:open_meter\n")
    (tmp_path / "strangers_sensor.py").write_text(STRANGER)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    picked = pick.pick()
    assert "stranger" in picked.name
    a, b = picked.mark(), picked.mark()
    domains = picked.between(a, b)
    assert domains["package-0"].joules == pytest.approx(70 * (b.time_s - a.time_s))
    contract = MeterContract()
    (own,) = [part for part in getattr(picked, "parts", (picked,)) if part.name == "stranger"]
    contract.test_consecutive_windows_add_up(own)
    contract.test_marks_from_other_threads(own)
    contract.test_a_window_of_no_length_holds_nothing(own)


class Broken:
    """A meter with the fault that its power says."""

    name, origin = "broken", "measured"

    def __init__(self, fault: str) -> None:
        self.fault, self.now = fault, 0.0

    def mark(self) -> Mark:
        self.now += 1.0
        return Mark(self.now, 0.0, self.now)

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        seconds = b.state - a.state
        joules = {"swallows": seconds + 1.0, "squares": seconds**2, "negative": -seconds}[self.fault]
        return {"package-0": Energy(joules, joules, joules, "measured")}


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("swallows", "test_consecutive_windows_add_up"),
        ("swallows", "test_a_window_of_no_length_holds_nothing"),
        ("squares", "test_consecutive_windows_add_up"),
        ("squares", "test_marks_from_other_threads"),
        ("negative", "test_energy_is_never_negative_and_its_interval_holds_it"),
        ("negative", "test_a_longer_window_holds_no_less"),
    ],
)
def test_the_contract_can_fail(fault: str, test: str) -> None:
    class Contract(MeterContract):
        def step(self, meter: Meter) -> None:
            return None

    with pytest.raises(AssertionError):
        getattr(Contract(), test)(Broken(fault))


def test_the_fakes_are_part_of_what_is_public() -> None:
    assert {"FakePowercap", "FakeZone", "Clock", "constant"} <= set(testing.__all__)
