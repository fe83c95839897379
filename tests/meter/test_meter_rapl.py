"""Rows of the powercap truth table, on a tree whose counters run by a clock held here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimwatt.energy import Energy
from trimwatt.meter import attribute, powercap, rapl
from trimwatt.meter import pick as picking
from trimwatt.meter._base import Mark
from trimwatt.meter.cpu_model import CpuModel
from trimwatt.meter.fake import AMD_RANGE_UJ, INTEL_RANGE_UJ, Clock, FakePowercap, FakeZone, constant
from trimwatt.meter.rapl import RaplMeter, step_uj
from trimwatt.meter.session import read

TREE = Callable[..., "Bench"]


class Bench:
    """A tree, a meter that looks at it, and the tree's clock in place of the machine's."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *zones: FakeZone) -> None:
        self.clock = Clock()
        self.tree = FakePowercap(folder, zones, self.clock)
        monkeypatch.setenv("TRIMWATT_POWERCAP", str(self.tree.root))
        self.meter = RaplMeter(powercap.zones(powercap.root()), lambda: self.clock.now_s)

    def run(self, seconds: float) -> tuple[Mark, Mark]:
        a = self.meter.mark()
        self.tree.advance(seconds)
        return a, self.meter.mark()

    def joules(self, seconds: float) -> dict[str, float]:
        return {name: energy.joules for name, energy in self.meter.between(*self.run(seconds)).items()}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TREE:
    return lambda *zones: Bench(tmp_path, monkeypatch, *zones)


def _total(domains: dict[str, Energy]) -> float:
    whole = attribute.machine(domains)
    assert whole is not None
    return whole.joules


def _two_sockets() -> list[FakeZone]:
    return [
        FakeZone("intel-rapl:0", "package-0", constant(50)),
        FakeZone("intel-rapl:0:0", "dram", constant(5)),
        FakeZone("intel-rapl:1", "package-1", constant(40), start_uj=123),
        FakeZone("intel-rapl:1:0", "dram", constant(4)),
    ]


def test_two_sockets_with_dram(bench: TREE) -> None:
    b = bench(*_two_sockets())
    marks = b.run(10)
    domains = b.meter.between(*marks)
    assert {n: e.joules for n, e in domains.items()} == pytest.approx(
        {"package-0": 500, "dram-0": 50, "package-1": 400, "dram-1": 40}
    )
    assert _total(domains) == pytest.approx(990)
    reading = read(b.meter, *marks)
    assert reading.coverage == 1
    assert reading.energy is not None
    assert reading.energy.origin == "measured"


def test_a_laptop_counts_neither_psys_nor_core_nor_uncore(bench: TREE) -> None:
    b = bench(
        FakeZone("intel-rapl:0", "package-0", constant(20)),
        FakeZone("intel-rapl:0:0", "core", constant(12)),
        FakeZone("intel-rapl:0:1", "uncore", constant(3)),
        FakeZone("intel-rapl:1", "psys", constant(35)),
        FakeZone("intel-rapl-mmio:0", "package-0", constant(20)),
    )
    marks = b.run(5)
    domains = b.meter.between(*marks)
    assert set(domains) == {"package-0", "core-0", "uncore-0", "psys", "intel-rapl-mmio:package-0"}
    assert _total(domains) == pytest.approx(100)
    assert read(b.meter, *marks).coverage == 0.5


@pytest.mark.parametrize(("watts", "before_end_s"), [(50, 5), (50, 0.2), (350, 0.25), (350, 9.99)])
def test_a_wrap_inside_the_window(bench: TREE, watts: float, before_end_s: float) -> None:
    start = INTEL_RANGE_UJ - round(watts * (10 - before_end_s) * 1e6)
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(watts), start_uj=start))
    assert b.joules(10) == pytest.approx({"package-0": watts * 10}, rel=1e-6)


def test_many_wraps_are_seen_by_reading_now_and_then(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(280), range_uj=AMD_RANGE_UJ))
    a = b.meter.mark()
    for _ in range(20):
        b.tree.advance(60)
        b.meter.refresh()
    assert b.meter.between(a, b.meter.mark())["package-0"].joules == pytest.approx(280 * 1200, rel=1e-6)


def test_a_square_load_is_not_sampled_but_counted(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", lambda t: 100.0 if int(t) % 2 else 0.0))
    assert b.joules(20)["package-0"] == pytest.approx(1000, rel=0.01)


def test_dies_that_count_for_themselves_are_summed(bench: TREE) -> None:
    b = bench(
        FakeZone("intel-rapl:0", "package-0-die-0", constant(30)),
        FakeZone("intel-rapl:1", "package-0-die-1", constant(25)),
    )
    domains = b.meter.between(*b.run(5))
    assert {n: e.joules for n, e in domains.items()} == pytest.approx({"package-0-die-0": 150, "package-0-die-1": 125})


def test_a_die_that_shows_its_neighbours_counter_is_not_added(bench: TREE) -> None:
    b = bench(
        FakeZone("intel-rapl:0", "package-0-die-0", constant(60), start_uj=777),
        FakeZone("intel-rapl:1", "package-0-die-1", constant(60), start_uj=777),
        FakeZone("intel-rapl:2", "package-1-die-0", constant(60), start_uj=777),
    )
    marks = b.run(5)
    domains = b.meter.between(*marks)
    assert set(domains) == {"package-0-die-0", "mirror:package-0-die-1", "package-1-die-0"}
    assert _total(domains) == pytest.approx(600)
    assert read(b.meter, *marks).energy is not None


def test_dies_that_part_later_are_told_apart_and_stay_so(bench: TREE) -> None:
    power = [30.0]
    b = bench(
        FakeZone("intel-rapl:0", "package-0-die-0", constant(30)),
        FakeZone("intel-rapl:1", "package-0-die-1", lambda _: power[0]),
    )
    power[0] = 25.0
    assert _total(b.meter.between(*b.run(2))) == pytest.approx(110)
    power[0] = 30.0
    assert _total(b.meter.between(*b.run(2))) == pytest.approx(120)


def test_short_windows_are_exact(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(50)))
    for _ in range(20):
        marks = b.run(0.05)
        energy = b.meter.between(*marks)["package-0"]
        assert energy.joules == pytest.approx(2.5, rel=1e-3)
        assert energy.low < 2.5 < energy.high


def test_too_short_a_window_says_how_long_it_should_be(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(50)))
    assert "measure 0.1 s or more" in b.meter.warnings(*b.run(0.005))[0]
    assert b.meter.warnings(*b.run(1)) == ()


def test_a_zone_that_vanishes_is_a_hole_and_no_jump(bench: TREE) -> None:
    b = bench(*_two_sockets())
    a = b.meter.mark()
    b.tree.advance(1)
    b.tree.remove("intel-rapl:1:0")
    b.tree.remove("intel-rapl:1")
    b.tree.advance(1)
    end = b.meter.mark()
    assert set(b.meter.between(a, end)) == {"package-0", "dram-0"}
    reading = read(b.meter, a, end)
    assert any("package-1" in w for w in reading.warnings)
    assert reading.coverage == pytest.approx(0.5)
    assert reading.energy is not None
    # the socket goes on drawing: what cannot be read is modelled, and the sum says so
    assert reading.energy.origin == "mixed"
    assert reading.domains["package-1"].origin == "estimated"


def test_a_zone_that_comes_back_starts_anew(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(50), start_uj=10**9))
    a = b.meter.mark()
    file = b.tree.energy_file("intel-rapl:0")
    file.write_text("")
    during = b.meter.mark()
    b.tree.advance(3)
    back = b.meter.mark()
    b.tree.advance(2)
    end = b.meter.mark()
    assert b.meter.between(a, end) == {}
    assert b.meter.between(a, during) == {}
    assert b.meter.between(back, end)["package-0"].joules == pytest.approx(100)


def test_a_counter_that_was_reset_is_a_hole(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(50), start_uj=10**9))
    a = b.meter.mark()
    b.tree.advance(1)
    b.tree.energy_file("intel-rapl:0").write_text("5\n")
    assert b.meter.between(a, b.meter.mark()) == {}


def test_without_a_range_it_counts_until_it_falls(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(50), range_uj=None))
    assert b.joules(2) == pytest.approx({"package-0": 100})


def test_dram_without_its_package(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(50)), FakeZone("intel-rapl:0:0", "dram", constant(5)))
    b.tree.energy_file("intel-rapl:0").unlink()
    b.tree.energy_file("intel-rapl:0").mkdir()
    meter = RaplMeter(powercap.zones(powercap.root()))
    assert [z.domain for z in meter.zones] == ["dram-0"]
    assert meter.closed == ("package-0",)
    assert isinstance(picking.pick(), CpuModel)


def test_memory_that_does_not_move_reads_zero(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(50)), FakeZone("intel-rapl:0:0", "dram", constant(0)))
    assert b.joules(1)["dram-0"] == 0


def test_a_package_that_rests_for_a_moment_reads_zero(bench: TREE) -> None:
    power = [50.0]
    b = bench(FakeZone("intel-rapl:0", "package-0", lambda _: power[0]))
    b.run(1)
    power[0] = 0.0
    assert b.joules(1) == {"package-0": 0}


def test_it_is_picked_where_it_can_be_read(bench: TREE) -> None:
    bench(*_two_sockets())
    assert isinstance(picking.pick(), RaplMeter)


def test_nothing_there_is_no_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for root in (tmp_path / "absent", tmp_path):
        monkeypatch.setenv("TRIMWATT_POWERCAP", str(root))
        assert rapl.open_meter() is None
        assert isinstance(picking.pick(), CpuModel)


def test_nested_folders_are_found_without_following_links_round(bench: TREE) -> None:
    b = bench(*_two_sockets())
    nested = b.tree.root.parents[1] / "devices" / "virtual" / "powercap"
    assert [z.domain for z in powercap.zones(nested)] == [z.domain for z in powercap.zones(b.tree.root)]


def test_the_clock_may_stand_still(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(50)))
    a = b.meter.mark()
    assert b.meter.between(a, b.meter.mark())["package-0"].joules == 0


def test_ten_thousand_random_windows() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10_000):
        before = int(rng.integers(AMD_RANGE_UJ))
        watts, seconds = rng.uniform(0, 1000), 10 ** rng.uniform(-3, 1.8)
        drawn = round(watts * seconds * 1e6) % AMD_RANGE_UJ
        assert step_uj(before, (before + drawn) % AMD_RANGE_UJ, AMD_RANGE_UJ, seconds) == drawn


@settings(max_examples=500, deadline=None)
@given(
    start=st.integers(0, INTEL_RANGE_UJ - 1),
    watts=st.floats(0, 1000),
    seconds=st.floats(1e-4, 250),
    range_uj=st.sampled_from([INTEL_RANGE_UJ, AMD_RANGE_UJ, 65712999613]),
)
def test_random_windows_are_exact_and_never_negative(start: int, watts: float, seconds: float, range_uj: int) -> None:
    drawn = round(watts * seconds * 1e6) % range_uj
    before = start % range_uj
    assert step_uj(before, (before + drawn) % range_uj, range_uj, seconds) == drawn


@settings(max_examples=200, deadline=None)
@given(st.integers(0, INTEL_RANGE_UJ - 1), st.integers(0, INTEL_RANGE_UJ - 1), st.floats(0, 10))
def test_whatever_two_readings_say_it_is_not_negative(before: int, after: int, seconds: float) -> None:
    step = step_uj(before, after, INTEL_RANGE_UJ, seconds)
    assert step is None or 0 <= step <= INTEL_RANGE_UJ


def test_the_process_share_keeps_the_origin_and_stays_below_the_whole(bench: TREE) -> None:
    b = bench(FakeZone("intel-rapl:0", "package-0", constant(50)))
    marks = b.run(2)
    share = attribute.process_share(b.meter, *marks, cpu_s=0.5, threads=1)
    assert share.origin == "measured"
    assert 0 < share.low < share.joules < share.high
    assert share.joules <= 100
    assert attribute.per_cpu_second(b.meter) is None
