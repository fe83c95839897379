"""perf's energy events: the kernel's files as they look, and the real system call with an event that any kernel has."""

from __future__ import annotations

import errno
import gc
import mmap
import os
import struct
import sys
import tempfile
import time
from pathlib import Path

import pytest

from trimwatt.host import perf_event
from trimwatt.meter import perf
from trimwatt.meter._base import Meter
from trimwatt.testing.meter import MeterContract

SCALE = 2.3283064365386963e-10


def sysfs(folder: Path, events: dict[str, int], places: dict[int, tuple[int, int]], unit: str = "Joules") -> Path:
    """The power PMU below `folder`, with processors at (package, die)."""
    pmu = folder / "bus/event_source/devices/power"
    (pmu / "events").mkdir(parents=True)
    (pmu / "type").write_text("9\n")
    (pmu / "cpumask").write_text(",".join(map(str, places)) + "\n")
    for name, number in events.items():
        (pmu / "events" / name).write_text(f"event={number:#04x}\n")
        (pmu / "events" / f"{name}.scale").write_text("2.3283064365386962890625e-10\n")
        (pmu / "events" / f"{name}.unit").write_text(unit + "\n")
    for cpu, (package, die) in places.items():
        topology = folder / f"devices/system/cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{package}\n")
        (topology / "die_id").write_text(f"{die}\n")
    return folder


SERVER = {"energy-cores": 1, "energy-pkg": 2, "energy-ram": 3}


class Kernel:
    """Counts in place of the kernel's: descriptors are real, their counts are set here."""

    def __init__(self) -> None:
        self.opened: dict[int, tuple[int, int, int, int]] = {}
        self.counts: dict[int, int] = {}

    def open(self, kind: int, config: int, pid: int, cpu: int) -> int:
        descriptor = os.open(tempfile.gettempdir(), os.O_RDONLY)
        self.opened[descriptor] = kind, config, pid, cpu
        self.counts[descriptor] = 1
        return descriptor

    def add(self, config: int, cpu: int, joules: float) -> None:
        for descriptor, (_, c, _, where) in self.opened.items():
            if (c, where) == (config, cpu):
                self.counts[descriptor] += round(joules / SCALE)

    def meter(self, root: Path) -> perf.PerfMeter:
        return perf.PerfMeter(perf.open_zones(root, self.open, lambda d: self.counts.get(d)))


def test_events_are_parsed(tmp_path: Path) -> None:
    found = {e.name: e for e in perf.events(sysfs(tmp_path, {**SERVER, "energy-psys": 5}, {0: (0, 0)}))}
    assert {name: (e.kind, e.config) for name, e in found.items()} == {
        "energy-cores": (9, 1), "energy-pkg": (9, 2), "energy-ram": (9, 3), "energy-psys": (9, 5),
    }  # fmt: skip
    assert found["energy-pkg"].scale == pytest.approx(2**-32)


def test_a_unit_that_is_not_joules_is_left_alone(tmp_path: Path) -> None:
    assert perf.events(sysfs(tmp_path, SERVER, {0: (0, 0)}, unit="Watts")) == []


@pytest.mark.parametrize(("text", "numbers"), [("0,18", [0, 18]), ("0-2,7\n", [0, 1, 2, 7]), ("", [])])
def test_cpu_lists(text: str, numbers: list[int]) -> None:
    assert perf.cpus(text) == numbers


def test_two_sockets(tmp_path: Path) -> None:
    kernel = Kernel()
    meter = kernel.meter(sysfs(tmp_path, SERVER, {0: (0, 0), 18: (1, 0)}))
    a = meter.mark()
    for cpu, joules in ((0, 50.0), (18, 40.0)):
        kernel.add(2, cpu, joules)
        kernel.add(3, cpu, joules / 10)
        kernel.add(1, cpu, joules / 2)
    joules_of = {d: e.joules for d, e in meter.between(a, meter.mark()).items()}
    assert joules_of == pytest.approx(
        {"package-0": 50, "package-1": 40, "dram-0": 5, "dram-1": 4, "core-0": 25, "core-1": 20}, rel=1e-5
    )
    # for all that runs on a processor of that package, through descriptors of this process
    assert {(kind, pid) for kind, _, pid, _ in kernel.opened.values()} == {(9, -1)}


def test_dies_have_names_of_their_own(tmp_path: Path) -> None:
    kernel = Kernel()
    meter = kernel.meter(sysfs(tmp_path, {"energy-pkg": 2, "energy-psys": 5}, {0: (0, 0), 8: (0, 1)}))
    kernel.add(2, 0, 30)
    kernel.add(2, 8, 25)
    a = meter.mark()
    kernel.add(2, 0, 30)
    kernel.add(2, 8, 25)
    domains = meter.between(a, meter.mark())
    assert set(domains) == {"package-0-die-0", "package-0-die-1", "psys"}
    assert domains["package-0-die-1"].joules == pytest.approx(25)


def test_what_may_not_be_opened_is_closed_with_the_reason(tmp_path: Path) -> None:
    def refuse(*_: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    root = sysfs(tmp_path, SERVER, {0: (0, 0)})
    assert perf.open_zones(root, refuse) == []
    found = perf.probe(root, refuse)
    assert {p.state for p in found} == {"closed"}
    assert all("Permission denied" in p.detail and "perf_event_paranoid" in p.fix for p in found)


def test_psys_alone_is_no_meter_and_leaves_no_descriptor(tmp_path: Path) -> None:
    assert perf.open_meter(sysfs(tmp_path, {}, {0: (0, 0)})) is None
    assert perf.open_meter(tmp_path / "none") is None
    assert [p.state for p in perf.probe(tmp_path / "none")] == ["absent"]


def test_descriptors_are_closed_with_the_meter(tmp_path: Path) -> None:
    kernel = Kernel()
    meter = kernel.meter(sysfs(tmp_path, SERVER, {0: (0, 0)}))
    descriptors = list(kernel.opened)
    assert all(os.fstat(d) for d in descriptors)
    del meter
    gc.collect()
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_an_event_that_dies_is_a_hole(tmp_path: Path) -> None:
    kernel = Kernel()
    meter = kernel.meter(sysfs(tmp_path, SERVER, {0: (0, 0)}))
    a = meter.mark()
    kernel.counts.clear()
    b = meter.mark()
    assert meter.between(a, b) == {}
    assert any("package-0" in w for w in meter.warnings(a, b))


def _spun(descriptor: int) -> tuple[float, float]:
    """Seconds by the event, from nanoseconds, and by this thread's own CPU clock, while it computes."""
    before, used = perf_event.read_event(descriptor), time.thread_time()
    while time.thread_time() - used < 0.05:
        sum(range(1000))
    used = time.thread_time() - used
    after = perf_event.read_event(descriptor)
    assert before is not None
    assert after is not None
    return (after - before) / 1e9, used


@pytest.mark.skipif(sys.platform != "linux", reason="perf events are Linux's")
def test_the_system_call_counts_this_thread() -> None:
    try:
        descriptor = perf_event.open_event(perf_event.SOFTWARE, perf_event.TASK_CLOCK, 0, -1)
    except OSError as error:
        pytest.skip(f"this kernel lets this user open no software event: {error}")
    try:
        # the system's own account of a thread leaves out what interrupted it, which a quiet moment has none of
        shares = sorted(counted / used for counted, used in map(_spun, [descriptor] * 20))
        assert shares[0] > 0.95 and min(abs(share - 1) for share in shares) < 0.05
    finally:
        os.close(descriptor)
    assert perf_event.read_event(descriptor) is None


@pytest.mark.skipif(sys.platform != "linux", reason="perf events are Linux's")
def test_the_system_call_counts_the_event_that_was_named() -> None:
    page_faults = 2
    try:
        descriptor = perf_event.open_event(perf_event.SOFTWARE, page_faults, 0, -1)
    except OSError as error:
        pytest.skip(f"this kernel lets this user open no software event: {error}")
    try:
        pages = mmap.mmap(-1, 4 * 1000 * mmap.PAGESIZE)
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            pages.madvise(mmap.MADV_NOHUGEPAGE)
        before = perf_event.read_event(descriptor)
        for page in range(1000):
            pages[page * mmap.PAGESIZE] = 1
        after = perf_event.read_event(descriptor)
    finally:
        os.close(descriptor)
    assert before is not None
    assert after is not None
    # nanoseconds would be many more
    assert 900 <= after - before < 5000


@pytest.mark.skipif(sys.platform != "linux", reason="perf events are Linux's")
def test_the_kernel_says_why_not() -> None:
    with pytest.raises(OSError) as caught:
        perf_event.open_event(12345, 1, -1, 0)
    assert caught.value.errno in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOSYS, errno.ENODEV, errno.EINVAL)


def test_what_the_kernel_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(OSError, match="vax"):
        perf_event.open_event(9, 2, -1, 0)
    assert struct.calcsize("=IIQ") == 16


class TestPerf(MeterContract):
    @pytest.fixture
    def meter(self, tmp_path: Path) -> Meter:
        self.kernel = Kernel()
        return self.kernel.meter(sysfs(tmp_path, SERVER, {0: (0, 0), 1: (1, 0)}))

    def step(self, meter: Meter) -> None:
        time.sleep(0.01)
        for cpu in (0, 1):
            self.kernel.add(2, cpu, 0.5 + cpu)

    def lose(self, meter: Meter) -> None:
        self.kernel.counts.clear()
