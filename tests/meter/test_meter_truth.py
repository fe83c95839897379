"""The truth table: a tree as the kernel shows it, fed from a clock, read by the code as it is; every row within 1 %."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from trimwatt.meter import attribute, powercap, rapl
from trimwatt.meter.fake import AMD_RANGE_UJ, INTEL_RANGE_UJ
from trimwatt.meter.session import read
from trimwatt.testing.meter import FakePowercap, FakeZone, constant

Row = tuple[list[FakeZone], float, float]


def square(t: float) -> float:
    """100 W and 0 W, 2 s in all."""
    return 100.0 if int(t) % 2 else 0.0


def before_wrap(watts: float, seconds: float, range_uj: int = INTEL_RANGE_UJ) -> int:
    """Where a counter stands that wraps in so many seconds."""
    return range_uj - round(watts * seconds * 1e6)


def sockets() -> list[FakeZone]:
    return [
        FakeZone("intel-rapl:0", "package-0", constant(50), start_uj=240422366267),
        FakeZone("intel-rapl:0:0", "dram", constant(5), range_uj=65712999613),
        FakeZone("intel-rapl:1", "package-1", constant(40), start_uj=124599532281),
        FakeZone("intel-rapl:1:0", "dram", constant(4), range_uj=65712999613),
        FakeZone("intel-rapl:2", "psys", constant(140)),
    ]


def laptop() -> list[FakeZone]:
    return [
        FakeZone("intel-rapl:0", "package-0", constant(20), start_uj=5_000_000),
        FakeZone("intel-rapl:0:0", "core", constant(12)),
        FakeZone("intel-rapl:0:1", "uncore", constant(3)),
        FakeZone("intel-rapl:1", "psys", constant(35)),
        FakeZone("intel-rapl-mmio:0", "package-0", constant(20), start_uj=5_000_017),
    ]


def amd(n: int, mirrored: bool) -> list[FakeZone]:
    """An AMD socket of n dies; energy alone, no limits."""
    zones = []
    for die in range(n):
        start = 777 if mirrored else 777 + 10**9 * die
        name = f"package-0-die-{die}"
        options = {"start_uj": start, "range_uj": AMD_RANGE_UJ, "is_limited": False}
        zones.append(FakeZone(f"intel-rapl:{die}", name, constant(60), **options))  # type: ignore[arg-type]
        zones.append(FakeZone(f"intel-rapl:{die}:0", "core", constant(3), **options))  # type: ignore[arg-type]
    return zones


def one(watts: float, start_uj: int = 0) -> list[FakeZone]:
    return [FakeZone("intel-rapl:0", "package-0", constant(watts), start_uj=start_uj)]


# zones, seconds, true joules of the machine
ROWS: dict[str, Row] = {
    "two sockets, dram under each, psys over all": (sockets(), 10, 990),
    "laptop, psys and a memory-mapped twin": (laptop(), 10, 200),
    "wrap in the middle": (one(50, before_wrap(50, 5)), 10, 500),
    "wrap 0.2 s before the end": (one(50, before_wrap(50, 9.8)), 10, 500),
    "wrap 0.25 s before the end at 350 W": (one(350, before_wrap(350, 9.75)), 10, 3500),
    "wrap at the very first step": (one(350, INTEL_RANGE_UJ - 1), 10, 3500),
    "100 W and 0 W": ([FakeZone("intel-rapl:0", "package-0", square)], 10, 500),
    "two dies that count for themselves": (
        [
            FakeZone("intel-rapl:0", "package-0-die-0", constant(30)),
            FakeZone("intel-rapl:1", "package-0-die-1", constant(25)),
        ],
        10,
        550,
    ),
    "two dies that draw the same": (
        [
            FakeZone("intel-rapl:0", "package-0-die-0", constant(30), start_uj=10**9),
            FakeZone("intel-rapl:1", "package-0-die-1", constant(30), start_uj=10**6),
        ],
        10,
        600,
    ),
    "AMD, four dies showing their socket's counter": (amd(4, True), 10, 600),
    "AMD, four true dies": (amd(4, False), 10, 2400),
    "memory-mapped alone": ([FakeZone("intel-rapl-mmio:0", "package-0", constant(20))], 10, 200),
    "one name twice, two counters": (
        [
            FakeZone("intel-rapl:0", "package-0", constant(50), start_uj=10**9),
            FakeZone("intel-rapl:1", "package-0", constant(40), start_uj=10**6),
        ],
        10,
        900,
    ),
    "one name twice, one counter": (
        [
            FakeZone("intel-rapl:0", "package-0", constant(50), start_uj=10**9),
            FakeZone("intel-rapl:1", "package-0", constant(50), start_uj=10**9),
        ],
        10,
        500,
    ),
    "first 50 ms": (one(50), 0.05, 2.5),
    "first 50 ms of two dies": (
        [
            FakeZone("intel-rapl:0", "package-0-die-0", constant(30)),
            FakeZone("intel-rapl:1", "package-0-die-1", constant(25)),
        ],
        0.05,
        2.75,
    ),
}


def _open(tree: FakePowercap, monkeypatch: pytest.MonkeyPatch) -> rapl.RaplMeter:
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(tree.root))
    meter = rapl.open_meter(lambda: tree.clock.now_s)
    assert meter is not None
    return meter


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_truth(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zones, seconds, joules = row
    tree = FakePowercap(tmp_path, zones, step_s=min(0.01, seconds / 5))
    meter = _open(tree, monkeypatch)
    # the first window of a meter, and those after it
    for _ in range(2):
        a = meter.mark()
        tree.advance(seconds)
        b = meter.mark()
        energy = attribute.machine(meter.between(a, b))
        assert energy is not None
        assert energy.joules == pytest.approx(joules, rel=0.01)
        assert energy.low <= joules <= energy.high
        assert energy.origin == "measured"
    assert read(meter, a, b).energy is not None


def test_memory_is_read_and_psys_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakePowercap(tmp_path, sockets())
    meter = _open(tree, monkeypatch)
    a = meter.mark()
    tree.advance(10)
    domains = {d: e.joules for d, e in meter.between(a, meter.mark()).items()}
    assert domains == pytest.approx({"package-0": 500, "dram-0": 50, "package-1": 400, "dram-1": 40, "psys": 1400})


def test_fifty_windows_of_fifty_milliseconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakePowercap(tmp_path, sockets())
    meter = _open(tree, monkeypatch)
    marks = [meter.mark()]
    for _ in range(50):
        tree.advance(0.05)
        marks.append(meter.mark())
    each = [attribute.machine(meter.between(a, b)) for a, b in pairwise(marks)]
    assert [e and e.joules for e in each] == pytest.approx([4.95] * 50, rel=0.01)
    whole = attribute.machine(meter.between(marks[0], marks[-1]))
    assert whole is not None
    assert sum(e.joules for e in each if e) == pytest.approx(whole.joules, rel=1e-9)


def test_ten_thousand_random_windows_over_wraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    power = [0.0, 0.0]
    ranges = AMD_RANGE_UJ, 65712999613
    zones = [
        FakeZone("intel-rapl:0", "package-0", lambda _: power[0], start_uj=AMD_RANGE_UJ - 9, range_uj=ranges[0]),
        FakeZone("intel-rapl:0:0", "dram", lambda _: power[1], start_uj=12345, range_uj=ranges[1]),
    ]
    tree = FakePowercap(tmp_path, zones, step_s=1e9)
    meter = _open(tree, monkeypatch)
    marks, truth = [meter.mark()], [(0.0, 0.0)]
    for _ in range(700):
        power[:] = rng.uniform(0.01, 600), rng.uniform(0, 60)
        seconds = 10 ** rng.uniform(-3, 1.7)
        tree.advance(seconds)
        marks.append(meter.mark())
        truth.append((truth[-1][0] + power[0] * seconds, truth[-1][1] + power[1] * seconds))
    assert truth[-1][0] > 10 * ranges[0] / 1e6, "too few wraps to mean anything"
    for i, j in np.sort(rng.integers(0, len(marks), (10_000, 2)), axis=1):
        domains = meter.between(marks[i], marks[j])
        for domain, k in (("package-0", 0), ("dram-0", 1)):
            true = truth[j][k] - truth[i][k]
            energy = domains[domain]
            assert energy.low >= 0
            assert energy.joules == pytest.approx(true, rel=1e-5, abs=1e-4)


def test_a_counter_that_runs_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the wall's clock this time, and a writer that empties the file for a moment each time it writes
    tree = FakePowercap(tmp_path, [*laptop(), FakeZone("intel-rapl:2", "package-1", constant(30))])
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(tree.root))
    meter = rapl.open_meter()
    assert meter is not None
    with tree.fed():
        for _ in range(20):
            least = tree.counter("intel-rapl:0")
            a = meter.mark()
            after_first = tree.counter("intel-rapl:0")
            time.sleep(0.01)
            before_last = tree.counter("intel-rapl:0")
            b = meter.mark()
            most = tree.counter("intel-rapl:0")
            domains = meter.between(a, b)
            assert "package-0" in domains, meter.warnings(a, b)
            # a file may be a write behind what it stands for, and a write as late as a busy machine makes it
            slack = 20 * max(0.05, 2 * tree.longest_s) + (most - before_last + after_first - least) / 1e6
            assert abs(domains["package-0"].joules - (before_last - after_first) / 1e6) <= slack


def test_the_counter_is_read_before_half_a_wrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # so small a range that half of it passes in 20 ms at full power
    tree = FakePowercap(tmp_path, [FakeZone("intel-rapl:0", "package-0", constant(1000), range_uj=40_000_000)])
    meter = _open(tree, monkeypatch)
    assert meter._keeper is not None
    assert 1000 * meter._keeper.every_s <= 40 / 2
    a = meter.mark()
    keeper = [t for t in threading.enumerate() if t.name == "trimwatt-meter"]
    for _ in range(10):
        tree.advance(0.019)
        deadline = time.monotonic() + 60
        while meter._at_s != tree.clock.now_s and time.monotonic() < deadline:
            time.sleep(0.002)
    b = meter.mark()
    assert meter.between(a, b)["package-0"].joules == pytest.approx(190, rel=0.01)
    del meter
    gc.collect()
    for thread in keeper:
        thread.join(60)
    assert not any(thread.is_alive() for thread in keeper)


def test_what_may_have_wrapped_unseen_is_in_the_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakePowercap(tmp_path, [FakeZone("intel-rapl:0", "package-0", constant(280), range_uj=AMD_RANGE_UJ)])
    tree.step_s = 10
    meter = _open(tree, monkeypatch)
    a = meter.mark()
    tree.advance(600)
    b = meter.mark()
    energy = meter.between(a, b)["package-0"]
    assert energy.low <= 168_000 <= energy.high
    assert any("wrapped unseen" in w for w in meter.warnings(a, b))


def test_a_clock_that_steps_back_makes_no_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakePowercap(tmp_path, one(50))
    meter = _open(tree, monkeypatch)
    a = meter.mark()
    tree.advance(1)
    tree.clock.now_s -= 5
    energy = meter.between(a, meter.mark())["package-0"]
    assert (energy.joules, energy.low >= 0) == (pytest.approx(50), True)


@pytest.mark.parametrize("seconds", [0.05, 3])
def test_a_package_that_stands_still_is_not_zero(
    seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as a virtual machine shows it, whose host counts nothing for it
    tree = FakePowercap(tmp_path, one(0))
    meter = _open(tree, monkeypatch)
    a = meter.mark()
    tree.advance(seconds)
    b = meter.mark()
    assert meter.between(a, b) == {}
    assert any("stood still" in w for w in meter.warnings(a, b))


FAULTS: dict[str, Callable[[FakePowercap], object]] = {
    "removed": lambda tree: tree.remove("intel-rapl:1"),
    "emptied": lambda tree: tree.energy_file("intel-rapl:1").write_text(""),
    "garbled": lambda tree: tree.energy_file("intel-rapl:1").write_text("n/a\n"),
    "below zero": lambda tree: tree.energy_file("intel-rapl:1").write_text("-5\n"),
    "closed": lambda tree: tree.close("intel-rapl:1"),
    "backwards": lambda tree: tree.energy_file("intel-rapl:1").write_text("124599000000\n"),
    "reset": lambda tree: tree.energy_file("intel-rapl:1").write_text("0\n"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_lost_zone_is_a_warning_and_a_hole(
    fault: Callable[[FakePowercap], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = FakePowercap(tmp_path, sockets())
    meter = _open(tree, monkeypatch)
    a = meter.mark()
    tree.advance(1)
    fault(tree)
    tree.clock.advance(1)
    b = meter.mark()
    domains = meter.between(a, b)
    assert "package-1" not in domains
    assert domains["package-0"].joules == pytest.approx(50)
    assert any("package-1" in w and "left out" in w for w in meter.warnings(a, b))


def test_a_file_that_is_being_written_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # empty at the first look, as between the emptying and the writing
    looks = iter([b"", b"", b"7\n"])
    monkeypatch.setattr(powercap, "contents", lambda _: next(looks))
    zone = powercap.Zone("package-0", Path("energy_uj"), 0, None)
    assert zone.read() is None
    assert zone.read(tries=3) == 7


def test_a_counter_that_opens_later_is_read_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakePowercap(tmp_path, sockets())
    tree.close("intel-rapl:1")
    meter = _open(tree, monkeypatch)
    assert meter.closed == ("package-1",)
    a = meter.mark()
    tree.open("intel-rapl:1")
    b = meter.mark()
    tree.advance(1)
    c = meter.mark()
    assert meter.closed == ()
    assert "package-1" not in meter.between(a, c)
    assert meter.between(b, c)["package-1"].joules == pytest.approx(40)


def test_a_twin_goes_on_for_what_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakePowercap(tmp_path, laptop())
    meter = _open(tree, monkeypatch)
    a = meter.mark()
    tree.close("intel-rapl:0")
    tree.advance(2)
    domains = meter.between(a, meter.mark())
    assert domains["package-0"].joules == pytest.approx(40)
    assert attribute.machine(domains) == domains["package-0"]


def test_a_twin_that_tells_another_story_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zones = [*laptop()[:-1], FakeZone("intel-rapl-mmio:0", "package-0", constant(29))]
    tree = FakePowercap(tmp_path, zones)
    meter = _open(tree, monkeypatch)
    a = meter.mark()
    tree.advance(10)
    b = meter.mark()
    assert any("290 J" in w and "200 J" in w for w in meter.warnings(a, b))


def test_links_that_loop_end(tmp_path: Path) -> None:
    tree = FakePowercap(tmp_path, sockets())
    for key in tree.zones:
        (tree.energy_file(key).parent / "again").symlink_to(tree.root)
    found = powercap.zones(tree.root)
    assert sorted(z.domain for z in found) == ["dram-0", "dram-1", "package-0", "package-1", "psys"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_reads_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakePowercap(tmp_path, one(50))
    meter = _open(tree, monkeypatch)
    a = meter.mark()
    tree.advance(1)
    # held by another thread at the moment of the fork, and never given back in the child
    meter._lock.acquire()
    pid = os.fork()
    if pid == 0:
        energy = meter.between(a, meter.mark())["package-0"]
        os._exit(0 if abs(energy.joules - 50) < 0.5 else 3)
    meter._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_doctor_sees_each_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakePowercap(tmp_path, sockets())
    tree.energy_file("intel-rapl:1").write_text("")
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(tree.root))
    states = {found.detail.partition(":")[0]: found.state for found in rapl.probe()}
    assert states == {
        "package-0": "ready", "dram-0": "ready", "package-1": "closed", "dram-1": "ready", "psys": "ready",
    }  # fmt: skip
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(tmp_path / "none"))
    assert [found.state for found in rapl.probe()] == ["absent"]
