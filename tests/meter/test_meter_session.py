from __future__ import annotations

import cProfile
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimwatt.errors import InputError
from trimwatt.meter import attribute, usage
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.cpu_model import CpuModel
from trimwatt.meter.fake import Clock, FakeMeter, FakePowercap, FakeState, FakeZone, constant
from trimwatt.meter.rapl import RaplMeter
from trimwatt.meter.session import coverage, meter, metered, read

SPIN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def _spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(100))


def test_a_window() -> None:
    before_s = time.process_time()
    with meter("work") as m:
        _spin(0.1)
    reading = m.reading
    assert 0.1 <= reading.cpu_s <= time.process_time() - before_s
    assert reading.duration_s >= 0.1
    assert reading.process is not None
    assert reading.energy is not None
    assert reading.process.joules <= reading.energy.joules * (1 + 1e-9)
    assert reading.peak_rss_bytes is not None
    assert reading.peak_rss_bytes > 5_000_000
    record = json.loads(json.dumps(reading.to_dict()))
    assert record["schema"] == "trimwatt/reading/1"
    assert str(m).startswith("work: process ")


def test_on_a_machine_without_sensors_it_says_so() -> None:
    with meter() as m:
        _spin(0.01)
    if isinstance(m.sensor, CpuModel):
        assert m.reading.coverage == 0
        assert m.reading.process is not None
        assert m.reading.process.origin == "estimated"
        assert "estimated from CPU time" in m.reading.warnings[0]


def test_windows_nest() -> None:
    before_s = time.process_time()
    with meter() as outer:
        _spin(0.05)
        with meter() as inner:
            _spin(0.05)
    assert 0.05 <= inner.reading.cpu_s <= outer.reading.cpu_s - 0.05
    assert 0.1 <= outer.reading.cpu_s <= time.process_time() - before_s


def test_children_are_counted_whether_living_or_done() -> None:
    with meter() as m:
        subprocess.run([sys.executable, "-S", "-c", SPIN], check=True)
    assert m.reading.cpu_s >= 0.29
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", SPIN + "\nprint(flush=True)\ntime.sleep(30)"], stdout=subprocess.PIPE
    )
    try:
        before = usage.tree_cpu_s()
        assert child.stdout is not None
        child.stdout.readline()
        living = usage.tree_cpu_s() - before
    finally:
        child.kill()
        child.communicate()
    assert living > 0.1


def test_grandchildren_are_counted() -> None:
    # the grandchild still lives, and nobody has waited for it, when the mark is made
    spin = SPIN + "\nprint(flush=True); time.sleep(30)"
    start = f"p = subprocess.Popen([sys.executable, '-S', '-c', {spin!r}])"
    code = f"import subprocess, sys; {start}; input(); p.kill(); p.wait()"
    with meter() as m:
        child = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        mark = m.sensor.mark()
        child.communicate(b"\n")
    assert m._start is not None
    assert mark.cpu_s - m._start.cpu_s >= 0.25
    assert m.reading.cpu_s >= 0.25


def test_the_reading_is_there_after_an_error_too() -> None:
    window = meter()
    with pytest.raises(InputError, match="leave the"):
        _ = window.reading
    with pytest.raises(KeyError), window:
        raise KeyError("user's own")
    assert window.reading.duration_s > 0


def test_a_window_can_be_used_again() -> None:
    window = meter()
    with window:
        _spin(0.2)
    before_s = time.process_time()
    with window:
        pass
    assert window.reading.cpu_s <= time.process_time() - before_s < 0.2


def test_decorator_keeps_the_answer_and_the_reading() -> None:
    @metered
    def twice(x: int) -> int:
        """Doc."""
        return 2 * x

    assert twice(4) == 8
    assert twice.__doc__ == "Doc."
    assert twice.reading.duration_s > 0  # type: ignore[attr-defined]


def test_the_decorator_keeps_a_reading_of_a_failure() -> None:
    @metered
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert fails.reading.cpu_s >= 0  # type: ignore[attr-defined]


def test_notebook_text_is_escaped() -> None:
    with meter("<script>") as m:
        pass
    assert "<script>" not in m._repr_html_()


def test_it_reads_the_tree_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakePowercap(tmp_path, [FakeZone("intel-rapl:0", "package-0", constant(50))])
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(tree.root))
    with meter() as m:
        tree.advance(0.2)
        time.sleep(0.03)
    assert isinstance(m.sensor, RaplMeter)
    assert m.reading.energy is not None
    assert m.reading.energy.joules == pytest.approx(10)
    assert m.reading.energy.origin == "measured"
    monkeypatch.delenv("TRIMWATT_POWERCAP")
    with meter() as m:
        pass
    assert not isinstance(m.sensor, RaplMeter) or "too short" in m.reading.warnings[0]


def test_starting_and_stopping_costs_little() -> None:
    with meter():
        pass
    with cProfile.Profile() as calls, meter():
        pass
    # counted rather than timed: five milliseconds of a quiet core are fifteen thousand calls, a window 1,100
    assert sum(one.callcount for one in calls.getstats()) < 5000


def test_attribution_adds_up() -> None:
    clock = Clock()
    sensor: Meter = FakeMeter(clock, {"package-0": 40.0, "dram-0": 4.0}, busy=1.0)
    a = sensor.mark()
    clock.advance(10)
    b = sensor.mark()
    n = usage.machine_threads()
    whole = attribute.process_share(sensor, a, b, cpu_s=10, threads=n)
    assert whole.joules == pytest.approx(440)
    first, second = (attribute.process_share(sensor, a, b, cpu_s=c, threads=n / 2) for c in (4, 6))
    assert first.joules + second.joules == pytest.approx(440)
    assert attribute.dynamic(sensor, a, b, 0.0).joules == 0  # type: ignore[union-attr]


def test_a_busier_process_gets_more_but_not_more_than_all() -> None:
    a, b = Mark(0.0, 0.0, FakeState(0.0)), Mark(10.0, 0.0, FakeState(10.0))
    sensor: Meter = FakeMeter(Clock())
    shares = [attribute.process_share(sensor, a, b, cpu_s=c, threads=1).joules for c in (0, 1, 5, 10, 20)]
    assert shares == sorted(shares)
    assert shares[-1] <= 550


def test_a_meter_that_reads_nothing_is_replaced_by_an_estimate() -> None:
    sensor: Meter = FakeMeter(Clock(), {})
    a, b = sensor.mark(), Mark(1001.0, 1001.0, FakeState(1001.0))
    assert attribute.process_share(sensor, a, b).origin == "estimated"
    assert attribute.dynamic(sensor, a, b) is None
    assert read(sensor, a, b).energy is None


def test_what_is_counted() -> None:
    names = {"package-0", "package-0-die-1", "dram-0", "cpu", "memory", "gpu-0"}
    others = {"psys", "core-0", "uncore-0", "mirror:package-0-die-1", "intel-rapl-mmio:package-0"}
    assert {n for n in names | others if attribute.counted(n)} == names
    assert coverage({}) == 0


def test_reserved_threads_follow_affinity() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert usage.reserved_threads() <= 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert usage.reserved_threads() <= len(allowed)
