"""Attribution that adds up: machine = idle + processes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.energy import Energy
from trimwatt.meter import attribute, powercap, usage
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.fake import Clock, FakeMeter, FakePowercap, FakeState, FakeZone, constant
from trimwatt.meter.rapl import RaplMeter
from trimwatt.meter.session import meter

SPIN = """
import sys, time
sys.stdin.readline()
end = time.process_time() + float(sys.argv[1])
while time.process_time() < end: pass
print(flush=True)
sys.stdin.readline()
"""


def test_two_busy_processes_and_an_idle_one(tmp_path: Path) -> None:
    tree = FakePowercap(
        tmp_path,
        [
            FakeZone("intel-rapl:0", "package-0", constant(60)),
            FakeZone("intel-rapl:0:0", "dram", constant(6)),
        ],
    )
    sensor = RaplMeter(powercap.zones(tree.root), lambda: tree.clock.now_s)
    seconds = {"busy": 1.2, "half": 0.6, "idle": 0.0}
    children = {
        name: subprocess.Popen(
            [sys.executable, "-S", "-c", SPIN, str(s)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for name, s in seconds.items()
    }
    try:
        windows = {name: meter(sensor=sensor, pid=child.pid) for name, child in children.items()}
        started = time.monotonic()
        for window in windows.values():
            window.start()
        a = sensor.mark()
        for child in children.values():
            assert child.stdin is not None
            child.stdin.write(b"\n")
            child.stdin.flush()
        for child in children.values():
            assert child.stdout is not None
            child.stdout.readline()
        # the counters run as long as the processes did
        tree.advance(time.monotonic() - started)
        b = sensor.mark()
        readings = {name: window.stop() for name, window in windows.items()}
    finally:
        for child in children.values():
            child.communicate(b"\n")
    used = {name: reading.cpu_s for name, reading in readings.items()}
    whole = attribute.machine(sensor.between(a, b))
    assert whole is not None
    parts = attribute.split(sensor, a, b, used)
    assert set(parts) == {"busy", "half", "idle", "others", "rest"}
    assert sum(part.joules for part in parts.values()) == pytest.approx(whole.joules, rel=0.01)
    # each by its share of the CPU time that the machine gave to all
    work = whole.joules - parts["rest"].joules
    busy = max(sum(used.values()), attribute.others_s(a, b, 0.0) or 0.0)
    for name, spent in used.items():
        assert parts[name].joules == pytest.approx(work * spent / busy, rel=0.05, abs=0.01)
        marginal = readings[name].marginal
        assert marginal is not None
        assert marginal.joules == pytest.approx(parts[name].joules, rel=0.05, abs=0.05)
    assert parts["busy"].joules == pytest.approx(2 * parts["half"].joules, rel=0.15)
    assert parts["idle"].joules < 0.1 * parts["half"].joules


@given(
    seconds=st.floats(0.001, 1e5),
    used=st.lists(st.floats(0, 100), min_size=1, max_size=5),
    others=st.floats(0, 100),
    watts=st.floats(0, 1000),
)
def test_the_parts_always_add_up(seconds: float, used: list[float], others: float, watts: float) -> None:
    a = Mark(0.0, 0.0, FakeState(0.0))
    b = Mark(seconds, used[0], FakeState(sum(used) + others))
    sensor: Meter = FakeMeter(Clock(), {"package-0": watts, "dram-0": watts / 10})
    whole = attribute.machine(sensor.between(a, b))
    assert whole is not None
    parts = attribute.split(sensor, a, b, {f"process {i}": c for i, c in enumerate(used)})
    assert sum(p.joules for p in parts.values()) == pytest.approx(whole.joules, rel=1e-9, abs=1e-12)
    assert all(0 <= p.low <= p.joules <= p.high <= whole.high * (1 + 1e-9) for p in parts.values())
    share = attribute.process_share(sensor, a, b, used[0], 1.0)
    assert 0 <= share.low <= share.joules <= share.high <= whole.high * (1 + 1e-9)


@given(threads=st.floats(0, 1), memory=st.floats(0, 1), own=st.floats(0, 10), seconds=st.floats(0.01, 100))
def test_reserved_is_marginal_and_idle(threads: float, memory: float, own: float, seconds: float) -> None:
    a, b = Mark(0.0, 0.0, FakeState(0.0)), Mark(seconds, own, FakeState(own + 1))
    sensor: Meter = FakeMeter(Clock())
    held = threads * usage.machine_threads()
    marginal = attribute.dynamic(sensor, a, b, own)
    idle = attribute.idle_cores(sensor, a, b, held, memory)
    both = attribute.process_share(sensor, a, b, own, held, memory=memory)
    assert marginal is not None
    assert idle is not None
    assert both.joules == pytest.approx(marginal.joules + idle.joules, rel=1e-9)


def test_memory_that_a_container_reserves_is_its_own_not_its_threads() -> None:
    a, b = Mark(0.0, 0.0, FakeState(0.0)), Mark(10.0, 0.0, FakeState(0.0))
    sensor: Meter = FakeMeter(Clock(), {"package-0": 40.0, "dram-0": 8.0})
    n = usage.machine_threads()
    assert attribute.process_share(sensor, a, b, 0.0, n / 4, memory=0.5).joules == pytest.approx(100 + 40)
    assert attribute.process_share(sensor, a, b, 0.0, n / 4).joules == pytest.approx(100 + 20)


@pytest.mark.parametrize("views", [("wall",), ("battery",), ("board", "battery"), ("wall", "machine", "battery")])
def test_views_of_the_whole_machine_count_once_and_alone(views: tuple[str, ...]) -> None:
    a, b = Mark(0.0, 0.0, FakeState(0.0)), Mark(10.0, 0.0, FakeState(0.0))
    watts = {view: 40.0 + n for n, view in enumerate(views)}
    alone: Meter = FakeMeter(Clock(), watts)
    assert attribute.machine(alone.between(a, b)) == Energy(400, 400, 400, "measured")
    # a card lies inside it, and beside a package it is only shown
    beside: Meter = FakeMeter(Clock(), {**watts, "gpu-0": 7.0})
    assert attribute.machine(beside.between(a, b)) == Energy(400, 400, 400, "measured")
    inside: Meter = FakeMeter(Clock(), {**watts, "package-0": 20.0})
    assert attribute.machine(inside.between(a, b)) == Energy(200, 200, 200, "measured")


def test_two_batteries_by_themselves_are_two() -> None:
    domains = {f"battery-{n}": Energy(5.0, 4.0, 6.0, "measured") for n in range(2)}
    assert attribute.machine(domains) == Energy(10.0, 8.0, 12.0, "measured")


def test_nothing_read_is_nothing_split() -> None:
    sensor: Meter = FakeMeter(Clock(), {})
    assert attribute.split(sensor, Mark(0, 0), Mark(1, 0), {"one": 1.0}) == {}
    assert attribute.idle_cores(sensor, Mark(0, 0), Mark(1, 0)) is None
