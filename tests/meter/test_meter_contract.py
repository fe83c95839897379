from __future__ import annotations

import time
from pathlib import Path

import pytest

from trimwatt.meter import cpu_model, pick
from trimwatt.meter._base import Meter
from trimwatt.meter.fake import Clock, FakeMeter, FakePowercap, FakeZone, constant
from trimwatt.meter.powercap import zones
from trimwatt.meter.rapl import RaplMeter
from trimwatt.testing.meter import MeterContract


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
