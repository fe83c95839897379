"""Several sensors as one, and what happens when one of them fails."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.energy import Energy
from trimwatt.errors import SensorAbsent
from trimwatt.meter import attribute, cpu_model, pick, usage, windows_tree
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.combined import Combined, as_combined
from trimwatt.meter.cpu_model import CpuModel
from trimwatt.meter.fake import Clock, FakeMeter, FakePowercap, FakeZone, constant
from trimwatt.meter.session import coverage, meter, read
from trimwatt.meter.unread import Unread
from trimwatt.testing.meter import MeterContract


@dataclass
class Card:
    """A graphics card of constant power; `broken` names the methods that raise. users: share of each pid."""

    clock: Clock
    watts: float = 300.0
    domain: str = "gpu-0"
    broken: set[str] = field(default_factory=set)
    users: dict[int, float] | None = None
    rest_w: float | None = None
    resolution_s: float = 0.1
    name: str = "card"
    origin: str = "measured"

    def _may(self, method: str) -> None:
        if method in self.broken:
            raise OSError(f"the card fell off the bus in {method}")

    def mark(self) -> Mark:
        self._may("mark")
        return Mark(self.clock.now_s, 0.0)

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        self._may("between")
        joules = self.watts * (b.time_s - a.time_s)
        return {self.domain: Energy(joules, joules * 0.95, joules * 1.05, "measured")}

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        self._may("warnings")
        return ("the card is warm",)

    def shares(self, a: Mark, b: Mark, pids: Collection[int]) -> dict[str, tuple[float, float, float]]:
        self._may("shares")
        if self.users is None:
            return {}
        share = sum(part for pid, part in self.users.items() if pid in pids)
        return {self.domain: (share, share, share)}

    def idle_w(self, domain: str) -> float | None:
        return self.rest_w if domain == self.domain else None


class TestCombined(MeterContract):
    @pytest.fixture
    def meter(self) -> Meter:
        clock = Clock()
        return Combined([FakeMeter(clock), Card(clock)])

    def step(self, meter: Meter) -> None:
        assert isinstance(meter, Combined)
        meter.parts[0].clock.advance(0.5)  # type: ignore[attr-defined]


def _window(*parts: Meter, seconds: float = 10.0) -> tuple[Combined, Mark, Mark]:
    combined = Combined(parts)
    a = combined.mark()
    parts[0].clock.advance(seconds)  # type: ignore[attr-defined]
    return combined, a, combined.mark()


def test_domains_are_merged_and_summed() -> None:
    clock = Clock()
    window = _window(FakeMeter(clock), Card(clock))
    reading = read(*window)
    assert set(reading.domains) == {"package-0", "dram-0", "gpu-0"}
    assert reading.energy is not None
    assert reading.energy.joules == pytest.approx(550 + 3000)
    assert (reading.energy.origin, reading.coverage) == ("measured", 1)
    assert "the card is warm" in reading.warnings
    assert window[0].name == "fake + card"


def test_a_model_beside_a_counter_is_mixed() -> None:
    clock = Clock()
    combined = Combined([cpu_model.detect(), Card(clock, resolution_s=0.0)])
    assert combined.origin == "mixed"
    a = combined.mark()
    clock.advance(1)
    reading = read(combined, a, combined.mark())
    assert reading.energy is not None
    assert reading.energy.origin == "mixed"
    assert 0 < reading.coverage < 1
    assert reading.process is not None
    assert reading.process.origin == "mixed"
    assert Combined([]).name == "nothing"


def test_two_sensors_of_one_domain_count_it_once_and_say_so() -> None:
    clock = Clock()
    combined, a, b = _window(FakeMeter(clock), FakeMeter(clock, {"package-0": 70.0}, name="other"))
    reading = read(combined, a, b)
    assert reading.energy is not None
    assert reading.energy.joules == pytest.approx(550)
    assert reading.domains["other:package-0"].joules == pytest.approx(700)
    assert any("other reads package-0 too; fake's" in w for w in reading.warnings)


@pytest.mark.parametrize("method", ["mark", "between", "warnings", "shares"])
def test_a_sensor_that_fails_is_a_warning_and_a_hole_and_no_end(method: str) -> None:
    clock = Clock()
    card = Card(clock)
    with meter(sensor=Combined([FakeMeter(clock), card])) as m:
        clock.advance(10)
        card.broken = {method}
    assert m.reading.process is not None
    assert m.reading.energy is not None
    if method in ("mark", "between"):
        assert m.reading.energy.joules == pytest.approx(550)
        assert m.reading.coverage == pytest.approx(2 / 3)
        assert any(w.startswith("card failed: the card fell off the bus") for w in m.reading.warnings)
    else:
        assert m.reading.energy.joules == pytest.approx(3550)


def test_a_single_sensor_that_fails_does_not_end_the_program_either() -> None:
    card = Card(Clock(), broken={"mark"})
    with meter(sensor=card) as m:
        card.clock.advance(10)
    assert m.reading.energy is None
    assert m.reading.domains == {}
    # the process's share is then the model's, and says so
    assert m.reading.process is not None
    assert m.reading.process.origin == "estimated"
    assert m.reading.coverage == 0


def test_a_sensor_that_could_not_be_opened_is_a_hole_and_never_a_zero() -> None:
    clock = Clock()
    with meter(sensor=Combined([FakeMeter(clock), Unread("card", "no driver")])) as m:
        clock.advance(10)
    assert m.reading.energy is not None and m.reading.energy.joules == pytest.approx(550)
    assert m.reading.coverage == pytest.approx(2 / 3)
    assert "card cannot be opened, so what it would read is missing: no driver" in m.reading.warnings


@given(st.lists(st.sampled_from([-1.0, 0.0, 5.0, math.inf]), min_size=1, max_size=4), st.floats(0.1, 100))
def test_whatever_strangers_say_no_energy_is_negative_or_endless(watts: list[float], seconds: float) -> None:
    clock = Clock()
    cards = [Card(clock, w, f"gpu-{i}", name=f"card-{i}") for i, w in enumerate(watts)]
    for card in cards:
        if card.watts < 0:
            card.between = lambda a, b, d=card.domain: {d: Energy(-5.0, -6.0, -1.0, "measured")}  # type: ignore[method-assign]
    reading = read(*_window(FakeMeter(clock), *cards, seconds=seconds))
    found = [*reading.domains.values(), reading.energy, reading.process, reading.marginal, reading.idle]
    for energy in found:
        assert energy is not None
        assert 0 <= energy.low <= energy.joules <= energy.high < math.inf
    odd = [card.domain for card in cards if card.watts < 0 or math.isinf(card.watts)]
    assert len([w for w in reading.warnings if "negative or endless" in w]) == len(odd)


def test_an_accelerator_is_shared_by_what_its_sensor_tells() -> None:
    clock = Clock()
    card = Card(clock, users={101: 0.25, 102: 0.5}, rest_w=60.0)
    combined, a, b = _window(FakeMeter(clock, busy=0.0), card)

    def dynamic(*pids: int) -> float:
        energy = attribute.dynamic(combined, a, b, 0.0, pids)
        assert energy is not None
        return energy.joules

    whole = attribute.process_share(combined, a, b, 0.0, 0.0, {101, 102})
    assert whole.joules == pytest.approx(0.75 * 3000)
    assert (whole.low, whole.high) == (pytest.approx(0.75 * 2850), pytest.approx(0.75 * 3150))
    assert dynamic(101) == pytest.approx(0.25 * (3000 - 600))
    assert dynamic(7) == 0
    idle = attribute.idle(combined, a, b, 0.0, {101})
    assert idle is not None
    assert idle.joules == pytest.approx(0.25 * 600)


def test_an_accelerator_that_does_not_say_whose_it_is_gives_an_interval_from_none_to_all() -> None:
    clock = Clock()
    combined, a, b = _window(FakeMeter(clock, busy=0.0), Card(clock))
    share = attribute.process_share(combined, a, b, 0.0, 0.0)
    assert (share.low, share.joules, share.high) == (0.0, pytest.approx(3000), pytest.approx(3150))


@pytest.mark.parametrize(
    ("users", "is_open", "told"), [({1: 1.0}, True, True), (None, False, True), (None, True, False)]
)
def test_a_window_too_short_for_the_card_is_told_only_where_the_card_was_not_used(
    users: dict[int, float] | None, is_open: bool, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(usage, "may_use_accelerator", lambda pids: is_open)
    reading = read(*_window(FakeMeter(clock), Card(clock, users=users), seconds=0.05))
    assert reading.energy is None
    assert reading.needs_s == 0.1
    assert (reading.process is not None) is told
    assert set(reading.domains) == {"package-0", "dram-0"}
    assert "too short for card, which resolves 100 ms" in reading.warnings[0]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists what a process holds open")
def test_who_may_use_an_accelerator() -> None:
    assert not usage.may_use_accelerator({os.getpid(), 2**22 + 1})


def test_a_child_that_used_the_card_and_ended_is_still_ones_own() -> None:
    clock = Clock()
    card = Card(clock)
    with meter(sensor=Combined([FakeMeter(clock), card])) as m:
        child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
        time.sleep(2 * windows_tree.EVERY_S)
        child.communicate(b"\n")
        card.users = {child.pid: 1.0}
        clock.advance(10)
    assert m.reading.process is not None
    assert m.reading.process.low > 2800


def test_a_module_that_counts_its_processor_too_is_not_added_to_it() -> None:
    clock = Clock()
    card = Card(clock, 500.0, users={os.getpid(): 1.0})
    card.whole_modules = ("gpu-0",)  # type: ignore[attr-defined]
    reading = read(*_window(FakeMeter(clock), card))
    assert set(reading.domains) == {"module:package-0", "module:dram-0", "gpu-0"}
    assert reading.energy is not None
    assert reading.process is not None
    assert reading.energy.joules == reading.process.joules == pytest.approx(5000)


def test_a_battery_counts_only_where_nothing_narrower_is_read() -> None:
    clock = Clock()
    assert read(*_window(FakeMeter(clock), Card(clock, 80.0, "battery"))).energy.joules == pytest.approx(550)  # type: ignore[union-attr]
    alone = read(*_window(FakeMeter(clock, {}), Card(clock, 80.0, "plug"), Card(clock, 30.0, name="gpu")))
    assert alone.energy is not None
    assert alone.energy.joules == pytest.approx(800)


def test_coverage() -> None:
    one = Energy(1, 1, 1, "measured")
    guess = Energy(1, 1, 1, "estimated")
    assert coverage({"package-0": one, "dram-0": one, "gpu-0": guess}) == pytest.approx(2 / 3)
    assert coverage({"cpu": guess, "gpu-0": one}) == pytest.approx(1 / 3)
    assert coverage({"plug": one}) == 1
    assert coverage({"gpu-0": one}) == 1
    assert coverage({"cpu": guess}) == 0


def test_marks_of_parts_that_come_and_go_do_not_mix() -> None:
    clock = Clock()
    card = Card(clock, broken={"mark"})
    combined = Combined([FakeMeter(clock), card])
    marks = [combined.mark()]
    card.broken = set()
    for _ in range(2):
        clock.advance(1)
        marks.append(combined.mark())
    assert [set(combined.between(a, b)) - {"package-0", "dram-0"} for a, b in pairwise(marks)] == [set(), {"gpu-0"}]
    assert as_combined(combined) is combined
    assert len(Combined([combined, card]).parts) == 3


class TestPick:
    @pytest.fixture
    def plugins(self, monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
        found: list[EntryPoint] = []
        monkeypatch.setattr(pick, "entry_points", lambda group: found)
        return found

    def _point(self, name: str) -> EntryPoint:
        return EntryPoint(name, f"{__name__}:{name}", "trimwatt.sensors")

    def test_a_plugins_processor_is_taken(self, plugins: list[EntryPoint]) -> None:
        plugins.append(self._point("processor_plugin"))
        names = [part.name for part in as_combined(pick.pick()).parts]
        assert "fake" in names
        assert not {"cpu-model", "powercap"} & set(names)

    def test_a_plugins_card_comes_beside_the_processor(self, plugins: list[EntryPoint]) -> None:
        plugins.append(self._point("card_plugin"))
        found = pick.pick()
        assert isinstance(found, Combined)
        assert attribute.counted(next(iter(found.parts[0].between(found.parts[0].mark(), found.parts[0].mark()))))
        assert "card" in [part.name for part in found.parts]

    def test_a_plugin_that_fails_or_has_nothing_is_left_out(
        self, plugins: list[EntryPoint], caplog: pytest.LogCaptureFixture
    ) -> None:
        plugins += [self._point("broken_plugin"), self._point("empty_plugin"), self._point("not_there")]
        with caplog.at_level("INFO", "trimwatt"):
            assert not {"fake", "card"} & {part.name for part in as_combined(pick.pick()).parts}
        assert "broken_plugin cannot be opened and is left out: no driver" in caplog.text
        with meter(sensor=pick.pick()) as m:
            pass
        assert any(w.startswith("broken_plugin cannot be opened") and "no driver" in w for w in m.reading.warnings)

    def test_measured_may_be_required(
        self, plugins: list[EntryPoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(SensorAbsent, match=r"cpu-model.*trimwatt doctor"):
            pick.demand_measured(Combined([cpu_model.detect(), Card(Clock())]))
        with pytest.raises(SensorAbsent):
            meter(sensor=cpu_model.detect(), require="measured")
        tree = FakePowercap(tmp_path, [FakeZone("intel-rapl:0", "package-0", constant(50))])
        monkeypatch.setenv("TRIMWATT_POWERCAP", str(tree.root))
        found = pick.pick(require="measured")
        assert not any(isinstance(part, CpuModel) for part in as_combined(found).parts)


def processor_plugin() -> Meter:
    return FakeMeter(Clock())


def card_plugin() -> Meter:
    return Card(Clock())


def broken_plugin() -> Meter:
    raise RuntimeError("no driver")


def empty_plugin() -> None:
    return None
