"""Windows in threads, tasks and processes; windows too short; whose share is told."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trimwatt.energy import Energy, Reading
from trimwatt.errors import InputError
from trimwatt.meter import powercap, usage
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.fake import Clock, FakeMeter, FakePowercap, FakeState, FakeZone, constant
from trimwatt.meter.rapl import RaplMeter
from trimwatt.meter.session import measure_callable, meter, metered, read


def _spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(100))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePowercap:
    """A counter of 50 W that this process's windows read; it runs when it is told to."""
    made = FakePowercap(tmp_path, [FakeZone("intel-rapl:0", "package-0", constant(50))])
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(made.root))
    return made


def _joules(energy: Energy | None) -> float:
    assert energy is not None
    return energy.joules


class TestThreadsAndTasks:
    def test_windows_in_threads_do_not_mix(self) -> None:
        def work(i: int) -> Reading:
            with meter(f"outer {i}") as outer:
                with meter(f"inner {i}") as inner:
                    _spin(0.01)
                _spin(0.01)
            assert inner.reading.duration_s < outer.reading.duration_s
            assert inner.reading.cpu_s <= outer.reading.cpu_s
            return outer.reading

        with meter() as whole, ThreadPoolExecutor(4) as pool:
            readings = list(pool.map(work, range(12)))
        assert whole.reading.cpu_s >= 12 * 0.02
        assert all(0.02 <= r.cpu_s <= whole.reading.cpu_s for r in readings)

    def test_windows_overlap(self, tree: FakePowercap) -> None:
        first, second = meter("first"), meter("second")
        first.start()
        tree.advance(1)
        second.start()
        time.sleep(0.025)
        tree.advance(2)
        assert _joules(first.stop().energy) == pytest.approx(150)
        tree.advance(4)
        assert _joules(second.stop().energy) == pytest.approx(300)

    def test_each_task_has_its_window(self) -> None:
        async def first(done: asyncio.Event) -> float:
            async with meter() as m:
                # begins before the other, and ends after it
                await done.wait()
                await asyncio.sleep(0.02)
            return m.reading.duration_s

        async def second(done: asyncio.Event) -> float:
            async with meter() as m:
                await asyncio.sleep(0.02)
            done.set()
            return m.reading.duration_s

        async def both() -> list[float]:
            done = asyncio.Event()
            return await asyncio.gather(first(done), second(done))

        long, short = asyncio.run(both())
        assert 0.02 <= short <= long - 0.02

    def test_a_coroutine_is_metered_until_it_is_done(self) -> None:
        @metered
        async def wait(seconds: float) -> float:
            await asyncio.sleep(seconds)
            return seconds

        assert asyncio.run(wait(0.03)) == 0.03
        assert wait.reading.duration_s >= 0.03  # type: ignore[attr-defined]

    def test_a_window_is_of_one_block_at_a_time(self) -> None:
        window = meter()
        with pytest.raises(InputError, match="not open"):
            window.stop()
        with window, pytest.raises(InputError, match="already open"):
            window.start()
        with pytest.raises(InputError, match="not open"):
            window.so_far()

    def test_so_far(self, tree: FakePowercap) -> None:
        with meter() as m:
            time.sleep(0.025)
            tree.advance(1)
            assert _joules(m.so_far().energy) == pytest.approx(50)
            tree.advance(1)
        assert _joules(m.reading.energy) == pytest.approx(100)


def _in_fork(work: Callable[[], bool]) -> bool:
    """Whether `work` is true in a forked child, which is ended where it hangs."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        code = 1
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
class TestProcesses:
    def test_a_fork_takes_no_energy_along_and_is_counted_once(self, tree: FakePowercap) -> None:
        def child() -> bool:
            _spin(0.1)
            with meter() as own:
                _spin(0.05)
            window.stop()
            there = window.reading
            told = there.energy is None and there.process is None and there.cpu_s == 0
            return told and "before a fork" in there.warnings[0] and 0.05 <= own.reading.cpu_s < 0.1

        with meter() as window:
            assert _in_fork(child)
            tree.advance(2)
        assert _joules(window.reading.energy) == pytest.approx(100)
        assert 0.15 <= window.reading.cpu_s < 0.4

    def test_a_child_that_leaves_the_block_by_itself_is_quiet(self) -> None:
        def child() -> bool:
            window.__exit__(None, None, None)
            return window.reading.energy is None

        with meter() as window:
            assert _in_fork(child)
        assert window.reading.energy is not None

    def test_a_fork_while_a_thread_reads_does_not_hang(self, tree: FakePowercap) -> None:
        sensor = RaplMeter(powercap.zones(tree.root))
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with sensor._lock:
                held.set()
                release.wait(120)

        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(60)

        def child() -> bool:
            with meter(sensor=sensor) as m:
                time.sleep(0.025)
            return m.reading.energy is not None

        try:
            assert _in_fork(child)
        finally:
            release.set()
            thread.join()

    def test_a_shared_sensor_is_made_anew_in_the_child(self, tree: FakePowercap) -> None:
        before = meter().sensor
        assert meter().sensor is before
        assert _in_fork(lambda: meter().sensor is not before)

    def test_spawned_children_meter_themselves(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        with meter() as m:
            child = context.Process(target=_spawned, args=(theirs,))
            child.start()
            theirs.close()
            cpu_s = ours.recv()
            child.join()
        assert 0.05 <= cpu_s <= m.reading.cpu_s


def _spawned(pipe: Any) -> None:
    with meter() as m:
        _spin(0.05)
    pipe.send(m.reading.cpu_s)


class TestTooShort:
    def test_it_is_refused_with_the_duration_needed(self, tree: FakePowercap) -> None:
        with meter(sensor=RaplMeter(powercap.zones(tree.root), lambda: tree.clock.now_s)) as m:
            tree.advance(0.001)
        reading = m.reading
        assert (reading.energy, reading.process, reading.marginal) == (None, None, None)
        assert reading.domains == {}
        assert (reading.needs_s, reading.coverage) == (0.02, 0)
        assert len([w for w in reading.warnings if "too short" in w]) == 1
        assert "resolves 20.0 ms at the least: no energy is told; measure 100 ms or more" in reading.warnings[0]
        assert str(m).startswith("process unknown; machine unknown")

    def test_the_first_window_of_50_ms_is_right(self, tree: FakePowercap) -> None:
        with meter() as m:
            time.sleep(0.05)
            tree.advance(0.05)
        assert _joules(m.reading.energy) == pytest.approx(2.5, rel=0.01)
        assert m.reading.needs_s is None

    def test_work_is_repeated_until_it_is_resolved(self, tree: FakePowercap, monkeypatch: pytest.MonkeyPatch) -> None:
        answers: list[int] = []
        # the clock by which it is repeated is that of the counter, however long a call takes here
        monkeypatch.setattr("trimwatt.meter.session.time", SimpleNamespace(monotonic=lambda: tree.clock.now_s))

        @metered(repeat=True)
        def short() -> int:
            time.sleep(1 / 512)
            tree.advance(1 / 512)
            answers.append(len(answers))
            return answers[-1]

        began = time.monotonic()
        assert short() == len(answers) - 1
        took_s = time.monotonic() - began
        reading = short.reading  # type: ignore[attr-defined]
        assert reading.calls == len(answers) == 52
        assert _joules(reading.energy) == pytest.approx(50 / 512, rel=0.01)
        # five times what the sensor resolves, and all the calls took no longer than they were waited for
        assert 0.1 <= reading.duration_s * len(answers) <= took_s
        assert reading.needs_s is None

    def test_repeating_takes_the_time_it_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[None] = []
        sensor, clock = FakeMeter(Clock()), Clock()
        monkeypatch.setattr("trimwatt.meter.session.time", SimpleNamespace(monotonic=lambda: clock.now_s))
        reading = measure_callable(lambda: calls.append(clock.advance(0.0015)), at_least_s=0.02, sensor=sensor)
        assert reading.calls == len(calls) == 14
        assert measure_callable(lambda: None, sensor=sensor).calls == 1
        for wrong in (-1.0, float("nan"), float("inf")):
            with pytest.raises(InputError, match="at_least_s"):
                measure_callable(lambda: None, at_least_s=wrong)

    def test_a_sensor_that_needs_minutes_is_not_waited_for_unasked(self) -> None:
        sensor = FakeMeter(Clock(), name="battery")
        object.__setattr__(sensor, "resolution_s", 300.0)
        with pytest.raises(InputError, match="battery resolves nothing in less than 25 min"):
            measure_callable(lambda: None, sensor=sensor)
        assert measure_callable(lambda: None, at_least_s=0.001, sensor=sensor).energy is None

    def test_an_error_in_repeated_work_passes(self) -> None:
        with pytest.raises(ZeroDivisionError):
            measure_callable(lambda: 1 / 0)

    def test_generators_and_repeated_coroutines_are_refused(self) -> None:
        def numbers() -> Any:
            yield 1

        async def wait() -> None: ...

        with pytest.raises(InputError, match="numbers is a generator"):
            metered(numbers)
        with pytest.raises(InputError, match="wait is a coroutine"):
            metered(repeat=True)(wait)


def test_a_window_decorates() -> None:
    clock = Clock()

    @meter("step", sensor=FakeMeter(clock))
    def step() -> str:
        clock.advance(2)
        return "done"

    assert step() == "done"
    assert _joules(step.reading.energy) == pytest.approx(110)  # type: ignore[attr-defined]


class TestOthers:
    def test_busy_neighbours_are_said(self) -> None:
        sensor: Meter = FakeMeter(Clock())

        def window(own: float, all_of_them: float, seconds: float = 10.0) -> list[str]:
            a, b = Mark(0.0, 0.0, FakeState(0.0)), Mark(seconds, own, FakeState(all_of_them))
            return [w for w in read(sensor, a, b).warnings if "busy neighbours" in w]

        n = usage.machine_threads()
        assert window(1.0, 1.0 + 0.05 * n * 10) == []
        (said,) = window(1.0, 5.0 * n)
        assert f"took {(5 * n - 1) / (5 * n):.0%} of the CPU time" in said
        # of the tick's 10 ms a short window knows nothing
        assert window(0.0, 0.05 * n, 0.05) == []

    def test_another_process_and_its_end(self) -> None:
        spin = "end = time.process_time() + 0.1\nwhile time.process_time() < end: pass"
        code = f"import time; input()\n{spin}\nprint(flush=True); input()"
        child = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        clock = Clock()
        try:
            window = meter(sensor=FakeMeter(clock), pid=child.pid).start()
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(b"\n")
            child.stdin.flush()
            child.stdout.readline()
            clock.advance(1)
            alive = window.so_far()
        finally:
            child.communicate(b"\n")
        assert alive.cpu_s >= 0.09
        assert alive.peak_rss_bytes is not None
        assert not any("ended" in w for w in alive.warnings)
        ended = window.stop()
        assert ended.cpu_s == alive.cpu_s
        assert any(f"process {child.pid} ended" in w for w in ended.warnings)

    @pytest.mark.parametrize("pid", [-1, 2**22 + 1, 2**70])
    def test_a_process_that_is_not_there(self, pid: int) -> None:
        with pytest.raises(InputError, match=f"no process {pid}"):
            meter(pid=pid)

    def test_what_may_be_required(self) -> None:
        with pytest.raises(InputError, match='require is "measured"'):
            meter(require="exact")  # type: ignore[arg-type]


_COUNT = """
import cProfile
from trimwatt.meter.session import meter
with meter():
    pass
with cProfile.Profile() as calls, meter():
    pass
print(sum(one.callcount for one in calls.getstats()))
"""


def test_on_counters_a_window_costs_less_than_a_millisecond(tree: FakePowercap) -> None:
    """In a process of its own: each child that other tests left to this one would be looked at, too."""
    environment = {**os.environ, "TRIMWATT_POWERCAP": str(tree.root)}
    words = [sys.executable, "-c", _COUNT]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=300)
    # counted rather than timed: a millisecond of a quiet core is about three thousand calls, a window 900 of them
    assert int(done.stdout) < 2000
