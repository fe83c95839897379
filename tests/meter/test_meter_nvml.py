"""NVIDIA GPUs, on a library that acts like the driver's and runs by the real clock."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trimwatt.meter import _nvml_library, _nvml_share, nvml, pick
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.nvml import NvmlMeter
from trimwatt.meter.session import meter
from trimwatt.testing.meter import MeterContract
from trimwatt.testing.nvml import FakeGpu, FakeInstance, FakeNvml, FakeProcess

LOST, DENIED, NOT_SUPPORTED = 15, 4, 3
OTHER = 1
# the beat of a counter needs a few quiet milliseconds, which a loaded host gives late
TRIES = 6


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> FakeNvml:
    return FakeNvml(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def fake(library: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return _use(library, monkeypatch)


def _use(library: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    library.show(FakeGpu())
    monkeypatch.setenv("TRIMWATT_NVML", str(library.path))
    monkeypatch.setenv("FAKE_NVML", str(library.state))
    return library


def _open() -> NvmlMeter:
    meter = nvml.open_meter()
    assert meter is not None
    return meter


def _window(meter: NvmlMeter, seconds: float) -> tuple[Mark, Mark]:
    a = meter.mark()
    time.sleep(seconds)
    return a, meter.mark()


def _soon(check: Callable[[int], bool]) -> bool:
    return any(check(n) for n in range(TRIES))


class TestContract(MeterContract):
    @pytest.fixture
    def meter(self, fake: FakeNvml) -> Meter:
        fake.show(FakeGpu(period=0.001), FakeGpu(100, counter=NOT_SUPPORTED))
        return _open()


def test_each_gpu_within_one_percent_of_the_truth(fake: FakeNvml) -> None:
    gpus = (
        FakeGpu(200),
        FakeGpu(90, counter=NOT_SUPPORTED),
        FakeGpu(310, period=0.1, offset=0.033, mig=1),
        FakeGpu(400, low=100, wave=0.01, period=0.02),
    )
    fake.show(*gpus)
    meter = _open()
    time.sleep(1.0)

    def right(n: int) -> bool:
        # no whole number of steps; longer with each try, since a busy host holds each mark up by so much and no more
        a, b = _window(meter, 0.553 * 2**n)
        read = meter.between(a, b)
        truth = {f"gpu-{i}": g.joules(a.time_s, b.time_s) for i, g in enumerate(gpus)}
        assert set(read) == set(truth)
        assert all(e.low <= truth[d] <= e.high for d, e in read.items())
        # a load that changes within a step is known to a step
        rel = {"gpu-3": 0.03}
        return all(e.joules == pytest.approx(truth[d], rel=rel.get(d, 0.01)) for d, e in read.items())

    assert _soon(right)


def test_a_counter_without_a_beat_is_still_inside_its_interval(fake: FakeNvml) -> None:
    fake.show(FakeGpu(200, period=0.09))
    meter = _open()
    a, b = _window(meter, 0.25)
    energy = meter.between(a, b)["gpu-0"]
    assert energy.low <= FakeGpu(200).joules(a.time_s, b.time_s) <= energy.high
    assert "too short" in meter.warnings(a, b)[0]


def test_power_is_integrated_over_a_square_load(fake: FakeNvml) -> None:
    gpu = FakeGpu(300, low=100, wave=0.4, counter=NOT_SUPPORTED)
    fake.show(gpu)
    meter = _open()
    a, b = _window(meter, 1.2)
    energy = meter.between(a, b)["gpu-0"]
    assert energy.low <= gpu.joules(a.time_s, b.time_s) <= energy.high
    assert energy.joules == pytest.approx(gpu.joules(a.time_s, b.time_s), rel=0.15)


def test_instant_power_is_preferred_and_not_needed(fake: FakeNvml) -> None:
    fake.show(FakeGpu(300, low=100, wave=10, counter=NOT_SUPPORTED, instant=NOT_SUPPORTED))
    library = _nvml_library.Library(str(fake.path))
    (handle,) = library.handles()
    assert 100 <= library.power_w(handle) <= 300
    fake.show(FakeGpu(300, counter=NOT_SUPPORTED))
    assert library.power_w(handle) == 300


def test_the_sampling_thread_ends_with_the_meter(fake: FakeNvml) -> None:
    others = set(threading.enumerate())
    fake.show(FakeGpu(counter=NOT_SUPPORTED))
    meter = _open()
    meter.mark()
    (thread,) = set(threading.enumerate()) - others
    assert thread.name == "trimwatt-meter"
    del meter
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("counter", [0, NOT_SUPPORTED])
def test_a_gpu_lost_on_the_way_is_a_hole_and_no_exception(fake: FakeNvml, counter: int) -> None:
    fake.show(FakeGpu(200), FakeGpu(100, counter=counter))
    meter = _open()
    a = meter.mark()
    time.sleep(0.2)
    lost = time.monotonic()
    fake.show(FakeGpu(200), FakeGpu(100, counter=counter, lost=lost))
    time.sleep(0.1)
    b = meter.mark()
    assert set(meter.between(a, b)) == {"gpu-0"}
    (said,) = [w for w in meter.warnings(a, b) if "lost" in w]
    assert "gpu-1 (Fake A100)" in said
    fake.show(FakeGpu(200), FakeGpu(100, counter=counter, lost=lost, back=time.monotonic()))
    time.sleep(0.3)
    c, d = _window(meter, 0.1)
    assert set(meter.between(c, d)) == {"gpu-0", "gpu-1"}
    assert set(meter.between(a, d)) == {"gpu-0"}


def test_a_driver_loaded_anew_is_a_hole_and_no_jump(fake: FakeNvml) -> None:
    meter = _open()
    a = meter.mark()
    fake.show(FakeGpu(since=time.monotonic()))
    time.sleep(0.1)
    b = meter.mark()
    assert meter.between(a, b) == {}
    assert "began anew" in " ".join(meter.warnings(a, b))
    time.sleep(0.1)
    assert set(meter.between(b, meter.mark())) == {"gpu-0"}


def test_what_may_not_be_read_is_said_and_absent(fake: FakeNvml) -> None:
    fake.show(FakeGpu(), FakeGpu(counter=DENIED, power=DENIED, instant=DENIED))
    meter = _open()
    a, b = _window(meter, 0.05)
    assert set(meter.between(a, b)) == {"gpu-0"}
    assert meter.closed == ("gpu-1",)
    assert any("gpu-1 (Fake A100) cannot be read" in w and "may not read" in w for w in meter.warnings(a, b))
    ready, closed = nvml.probe()
    assert (ready.state, closed.state) == ("ready", "closed")
    assert closed.fix


@pytest.mark.parametrize(
    ("init", "said"), [(9, "driver is not loaded"), (18, "different versions"), (777, "error 777")]
)
def test_a_library_that_does_not_start(fake: FakeNvml, init: int, said: str) -> None:
    fake.show(init=init)
    with pytest.raises(_nvml_library.NvmlError, match=said):
        nvml.open_meter()
    (probe,) = nvml.probe()
    assert probe.state == "closed"
    assert said in probe.detail


def test_a_broken_driver_is_said_in_every_reading(fake: FakeNvml) -> None:
    fake.show(init=18)
    with meter(sensor=pick.pick()) as m:
        time.sleep(0.02)
    assert m.reading.process is not None
    assert any("nvml cannot be opened" in w and "different versions" in w for w in m.reading.warnings)
    assert "nvml (not readable)" in m.sensor.name


def test_no_driver_at_all_is_no_card(fake: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIMWATT_NVML")
    monkeypatch.setattr(_nvml_library, "path", lambda: str(fake.path))
    fake.show(init=_nvml_library.NO_DRIVER)
    assert nvml.open_meter() is None


def test_a_file_that_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "nvml.so"
    bad.write_bytes(b"no library")
    monkeypatch.setenv("TRIMWATT_NVML", str(bad))
    with pytest.raises(_nvml_library.NvmlError, match="could not be loaded"):
        nvml.open_meter()
    (probe,) = nvml.probe()
    assert (probe.state, probe.path) == ("closed", str(bad))
    assert "TRIMWATT_NVML" in probe.fix


def test_a_library_without_the_counters_symbol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(FakeNvml(tmp_path, without=["NO_ENERGY", "NO_PROCESSES"]), monkeypatch)
    meter = _open()
    assert meter.gpus[0].mode == "power"
    assert "lacks this function" in nvml.probe()[0].detail
    a, b = _window(meter, 0.2)
    assert meter.between(a, b)["gpu-0"].joules == pytest.approx(200 * (b.time_s - a.time_s), rel=0.01)
    assert meter.shares(a, b, [os.getpid()]) == {"gpu-0": (0.0, 0.0, 1.0)}


def test_no_gpu_is_no_meter(fake: FakeNvml) -> None:
    fake.show()
    assert nvml.open_meter() is None
    assert nvml.probe()[0].state == "absent"


def test_shares_by_pid_add_up(fake: FakeNvml) -> None:
    me = os.getpid()
    fake.show(
        FakeGpu(), FakeGpu(), FakeGpu(),
        processes=[FakeProcess(0, me, 60), FakeProcess(0, OTHER, 20), FakeProcess(1, me, 5), FakeProcess(2, OTHER, 50)],
    )  # fmt: skip
    meter = _open()
    a, b = _window(meter, 0.8)
    mine, others = meter.shares(a, b, [me]), meter.shares(a, b, [OTHER])
    assert mine["gpu-0"] == pytest.approx((0.5, 0.75, 0.75), abs=0.02)
    assert mine["gpu-0"][1] + others["gpu-0"][1] == pytest.approx(1)
    assert (mine["gpu-1"], mine["gpu-2"]) == ((1, 1, 1), (0, 0, 0))


def test_an_empty_list_is_none_on_a_host_and_unknown_in_a_container(
    fake: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = _open()
    a, b = _window(meter, 0.2)
    monkeypatch.setattr(_nvml_share, "_is_host", lambda: True)
    assert meter.shares(a, b, [os.getpid()]) == {"gpu-0": (0, 0, 0)}
    monkeypatch.setattr(_nvml_share, "_is_host", lambda: False)
    assert meter.shares(a, b, [os.getpid()]) == {"gpu-0": (0, 0, 1)}
    monkeypatch.setattr(_nvml_share, "_open_files", lambda pid: ["/dev/nvidiactl", "/dev/nvidia-uvm"])
    assert meter.shares(a, b, [os.getpid()]) == {"gpu-0": (0, 1, 1)}


def test_mig_is_read_once_and_shared_by_slices(fake: FakeNvml) -> None:
    me = os.getpid()
    fake.show(
        FakeGpu(300, mig=1),
        instances=[FakeInstance(0, 1, 3), FakeInstance(0, 2, 2)],
        processes=[FakeProcess(0, me, 0, 1), FakeProcess(0, OTHER, 0, 2)],
    )
    meter = _open()
    a, b = _window(meter, 0.6)
    assert set(meter.between(a, b)) == {"gpu-0"}
    assert meter.shares(a, b, [me])["gpu-0"] == pytest.approx((3 / 7, 3 / 5, 3 / 5))
    assert any("split by MIG" in w for w in meter.warnings(a, b))


def test_hidden_gpus_are_counted_and_not_shared(fake: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    stranger = FakeProcess(0, 2**22 + 5)
    fake.show(FakeGpu(), FakeGpu(), processes=[stranger, FakeProcess(1, stranger.pid)])
    meter = _open()
    a, b = _window(meter, 0.2)
    assert set(meter.between(a, b)) == {"gpu-0", "gpu-1"}
    # numbers of another namespace: whether the process is ours is not known, unless it cannot reach the GPU
    assert meter.shares(a, b, [os.getpid()]) == {"gpu-0": (0, 0, 0), "gpu-1": (0, 0, 1)}


def test_a_module_is_said_to_be_one(fake: FakeNvml) -> None:
    fake.show(FakeGpu(name="NVIDIA GH200 480GB"))
    meter = _open()
    assert meter.whole_modules == ("gpu-0",)
    assert any("whole module" in w for w in meter.warnings(*_window(meter, 0.05)))


def test_a_forked_child_reads_on(fake: FakeNvml) -> None:
    code = """
        import os, time
        from trimwatt.meter import nvml
        meter = nvml.open_meter()
        meter.mark()
        pid = os.fork()
        a = meter.mark(); time.sleep(0.6); b = meter.mark()
        joules = meter.between(a, b)["gpu-0"].joules
        right = abs(joules / (200 * (b.time_s - a.time_s)) - 1) < 0.2
        if not pid:
            os._exit(0 if right else 7)
        assert right and os.waitpid(pid, 0)[1] == 0
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=300)


def test_nvidias_own_client_reads_the_same(fake: FakeNvml, tmp_path: Path) -> None:
    """The stand-in is faithful: NVIDIA's Python bindings take it for the real one."""
    pytest.importorskip("pynvml")
    (tmp_path / "libnvidia-ml.so.1").write_bytes(fake.path.read_bytes())
    fake.show(FakeGpu(200, name="Fake A100"), processes=[FakeProcess(0, 12, 40)])
    code = """
        import time, pynvml as n
        n.nvmlInit()
        h = n.nvmlDeviceGetHandleByIndex(0)
        assert n.nvmlDeviceGetName(h) == "Fake A100"
        assert n.nvmlDeviceGetPowerUsage(h) == 200_000
        assert n.nvmlDeviceGetFieldValues(h, [186])[0].value.uiVal == 200_000
        assert [p.pid for p in n.nvmlDeviceGetComputeRunningProcesses(h)] == [12]
        assert {s.smUtil for s in n.nvmlDeviceGetProcessUtilization(h, int((time.time() - 1) * 1e6))} == {40}
        assert n.nvmlDeviceGetMigMode(h) == [0, 0]
        assert n.nvmlDeviceGetTotalEnergyConsumption(h) > 0
    """
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=300, env=environment)
