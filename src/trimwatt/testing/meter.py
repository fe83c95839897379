"""What every meter must do. Inherit `MeterContract`, give a fixture `meter`, and pytest runs it all."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from trimwatt.energy import ORIGINS, Energy
from trimwatt.meter import attribute
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.fake import Clock, FakeMeter, FakePowercap, FakeZone, constant

__all__ = [
    "Clock",
    "FakeMeter",
    "FakePowercap",
    "FakeZone",
    "MeterContract",
    "constant",
]


def _work(seconds: float) -> None:
    """Keep one core busy."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(1000))


def _adds_up(first: Energy, second: Energy, whole: Energy) -> None:
    """Two windows side by side hold what the one over both holds: to rounding if measured, else as far as is known."""
    both = first + second
    if whole.origin == "measured":
        assert both.joules == pytest.approx(whole.joules, rel=1e-6, abs=1e-6)
        # a doubt does not grow by looking at both halves together
        assert whole.low >= both.low * (1 - 1e-9) - 1e-9
        assert whole.high <= both.high * (1 + 1e-9) + 1e-9
    else:
        assert both.low <= whole.high
        assert whole.low <= both.high


class MeterContract:
    """Facts that hold for any meter; the fixture `meter` is all that an implementer gives.

    most_mark_s: the CPU seconds a mark may take. `step` and `lose` may be overridden.
    """

    most_mark_s: float = 0.005

    @pytest.fixture
    def meter(self) -> Meter:
        raise TypeError("a meter's test says which meter it is: override the fixture meter")

    def step(self, meter: Meter) -> None:
        """Let something happen between two marks; a meter with a clock of its own overrides this."""
        _work(0.02)

    def lose(self, meter: Meter) -> None:
        """Take away what the meter reads, as a driver that is unloaded does; a test of a lost source overrides this."""
        pytest.skip("this meter's test does not say how its source is lost")

    def _marks(self, meter: Meter, n: int) -> list[Mark]:
        marks = [meter.mark()]
        for _ in range(n - 1):
            self.step(meter)
            marks.append(meter.mark())
        return marks

    def test_it_names_itself_and_its_origin(self, meter: Meter) -> None:
        assert meter.name
        assert meter.origin in ORIGINS

    def test_marks_do_not_go_back(self, meter: Meter) -> None:
        marks = self._marks(meter, 4)
        assert all(a.time_s < b.time_s for a, b in pairwise(marks))
        assert all(a.cpu_s <= b.cpu_s for a, b in pairwise(marks))

    def test_energy_is_never_negative_and_its_interval_holds_it(self, meter: Meter) -> None:
        marks = self._marks(meter, 4)
        windows = [meter.between(a, b) for i, a in enumerate(marks) for b in marks[i:]]
        for energy in (e for window in windows for e in window.values()):
            assert 0 <= energy.low <= energy.joules <= energy.high < math.inf
            assert energy.origin in ORIGINS

    def test_what_is_not_read_is_absent(self, meter: Meter) -> None:
        a, b = self._marks(meter, 2)
        domains = meter.between(a, b)
        assert all(isinstance(energy, Energy) for energy in domains.values())
        counted = [energy.joules for name, energy in domains.items() if attribute.counted(name)]
        assert not counted or sum(counted) > 0

    def test_consecutive_windows_add_up(self, meter: Meter) -> None:
        a, b, c = self._marks(meter, 3)
        first, second, whole = meter.between(a, b), meter.between(b, c), meter.between(a, c)
        for name, energy in whole.items():
            _adds_up(first[name], second[name], energy)

    def test_a_window_of_no_length_holds_nothing(self, meter: Meter) -> None:
        self.step(meter)
        mark = meter.mark()
        for energy in meter.between(mark, mark).values():
            assert energy.joules == energy.low == energy.high == 0

    def test_a_longer_window_holds_no_less(self, meter: Meter) -> None:
        a, b, c, d = self._marks(meter, 4)
        inner, outer = meter.between(b, c), meter.between(a, d)
        assert all(inner[name].joules <= outer[name].joules * (1 + 1e-9) for name in inner.keys() & outer.keys())

    def test_marks_from_other_threads(self, meter: Meter) -> None:
        a = meter.mark()
        with ThreadPoolExecutor(4) as pool:
            marks = list(pool.map(lambda _: meter.mark(), range(16)))
        self.step(meter)
        b = meter.mark()
        outer = meter.between(a, b)
        for mark in marks:
            first, second = meter.between(a, mark), meter.between(mark, b)
            for name in outer.keys() & first.keys() & second.keys():
                assert 0 <= first[name].joules <= outer[name].joules * (1 + 1e-9) + 1e-9
                _adds_up(first[name], second[name], outer[name])

    def test_warnings_are_words(self, meter: Meter) -> None:
        a, b = self._marks(meter, 2)
        tell = getattr(meter, "warnings", None)
        said = tell(a, b) if tell else ()
        assert isinstance(said, tuple)
        assert all(isinstance(line, str) and line.strip() and "\n" not in line for line in said)

    def test_its_resolution_is_a_duration(self, meter: Meter) -> None:
        assert 0 <= getattr(meter, "resolution_s", 0.0) < 3600

    def test_a_source_that_is_lost_is_a_warning(self, meter: Meter) -> None:
        a = meter.mark()
        self.step(meter)
        before = meter.mark()
        kept = meter.between(a, before)
        self.lose(meter)
        lost = meter.mark()
        there = meter.between(a, lost)
        tell = getattr(meter, "warnings", None)
        assert there.keys() < kept.keys() or (there == {} and kept == {})
        assert tell is not None
        assert tell(a, lost), "a hole that nobody is told of"
        assert meter.between(a, before) == kept

    def test_asking_twice_changes_nothing(self, meter: Meter) -> None:
        a, b = self._marks(meter, 2)
        before = meter.between(a, b)
        self.step(meter)
        meter.mark()
        assert meter.between(a, b) == before

    def test_a_mark_is_cheap(self, meter: Meter) -> None:
        meter.mark()
        took = []
        for _ in range(10):
            start = time.process_time()
            meter.mark()
            took.append(time.process_time() - start)
        assert min(took) < self.most_mark_s

    def test_the_process_takes_part_of_the_machine(self, meter: Meter) -> None:
        a, b = self._marks(meter, 2)
        share, whole = attribute.process_share(meter, a, b), attribute.machine(meter.between(a, b))
        assert share.joules >= 0
        assert whole is None or share.joules <= whole.joules * (1 + 1e-9)
