"""Control groups: a tree as the kernel lays it out, and the real one where this user may make a group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimwatt.errors import InputError
from trimwatt.meter import cgroup, usage
from trimwatt.meter._base import Meter
from trimwatt.meter.fake import Clock, FakeMeter
from trimwatt.meter.session import meter

POD = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0c5b_7a.slice"
FILES = {
    "cgroup.controllers": "cpu memory",
    "cpu.stat": "usage_usec 90000000",
    f"{POD}/cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000",
    f"{POD}/cpu.max": "150000 100000",
    f"{POD}/memory.max": "2147483648",
    f"{POD}/cgroup.procs": "",
    f"{POD}/cri-containerd-4f1e.scope/cpu.stat": "usage_usec 2400000",
    f"{POD}/cri-containerd-4f1e.scope/cpu.max": "max 100000",
    f"{POD}/cri-containerd-4f1e.scope/cgroup.procs": "11\n12",
    f"{POD}/cri-containerd-4f1e.scope/memory.max": "max",
    f"{POD}/cri-containerd-4f1e.scope/memory.peak": "1048576",
    "system.slice/slurmstepd.scope/job_77/cpu.stat": "usage_usec 1000000",
    "system.slice/slurmstepd.scope/job_77/cpuset.cpus.effective": "0",
    "system.slice/slurmstepd.scope/job_77/memory.current": "4096",
    "system.slice/slurmstepd.scope/job_78/cpu.stat": "usage_usec 1000000",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return tmp_path


@pytest.mark.parametrize("name", [POD, f"/{POD}", f"{POD}/", "pod0c5b_7a"])
def test_a_pod_is_found_by_path_and_by_name(tree: Path, name: str) -> None:
    pod = cgroup.find(name, tree)
    assert pod.folder == tree / POD
    assert cgroup.find(tree / POD, tree) == pod
    assert pod.label == f"cgroup /{POD}"


def test_what_a_pod_has_used_and_reserves(tree: Path) -> None:
    pod = cgroup.find("pod0c5b_7a", tree)
    assert pod.cpu_s() == 2.5
    assert pod.quota() == 1.5
    assert pod.threads() == min(1.5, usage.machine_threads())
    assert pod.pids() == {11, 12}
    assert pod.memory_bytes() == 2 * 2**30
    share = pod.memory_share()
    assert share is not None
    assert 0 < share <= 1


def test_a_container_is_bound_by_its_pod(tree: Path) -> None:
    container = cgroup.find("4f1e", tree)
    assert (container.quota(), container.memory_bytes()) == (1.5, 2 * 2**30)
    assert container.peak_rss_bytes() == 1048576


def test_a_slurm_job_on_one_core(tree: Path) -> None:
    job = cgroup.find("job_77", tree)
    assert job.threads() == 1
    assert (job.quota(), job.memory_bytes(), job.peak_rss_bytes()) == (None, 4096, None)


@pytest.mark.parametrize(
    ("name", "says"),
    [("job_7", "2 control groups are called 'job_7'"), ("nothing", "no control group"), ("", "no control group")],
)
def test_a_name_that_fits_none_or_many_is_refused(tree: Path, name: str, says: str) -> None:
    (tree / "cpu.stat").unlink()
    with pytest.raises(InputError, match=says):
        cgroup.find(name, tree)


def test_what_is_broken_or_absent_is_unknown(tree: Path) -> None:
    job = tree / "system.slice" / "slurmstepd.scope" / "job_77"
    (job / "cpu.max").write_text("a b")
    (job / "cpuset.cpus.effective").write_text("")
    (job / "memory.current").unlink()
    group = cgroup.find("job_77", tree)
    assert (group.quota(), group.memory_share()) == (None, None)
    assert group.threads() == usage.machine_threads()


def test_a_group_that_ends_keeps_what_was_last_seen(tree: Path) -> None:
    job = cgroup.find("job_78", tree)
    assert job.cpu_s() == 1
    (job.folder / "cpu.stat").write_text("usage_usec 3000000\n")
    assert (job.cpu_s(), job.gone()) == (3, False)
    (job.folder / "cpu.stat").unlink()
    assert (job.cpu_s(), job.gone()) == (3, True)


def test_own(tree: Path) -> None:
    proc = tree / "own"
    proc.write_text(f"12:cpu:/old\n0::/{POD}\n")
    group = cgroup.own(proc, tree)
    assert group is not None
    assert group.folder == tree / POD
    # a container sees the path of its host, and its own group as the root
    proc.write_text("0::/../../elsewhere-on-the-host\n")
    group = cgroup.own(proc, tree)
    assert group is not None
    assert group.folder == tree
    proc.write_text("0::/..\n")
    group = cgroup.own(proc, tree)
    assert group is not None
    assert group.folder == tree
    proc.write_text("12:cpu:/old\n")
    assert cgroup.own(proc, tree) is None


def test_a_window_of_a_group(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "mount", lambda: tree)
    clock = Clock()
    sensor: Meter = FakeMeter(clock, {"package-0": 100.0, "dram-0": 10.0}, busy=1.0)
    with meter(sensor=sensor, cgroup="job_77") as m:
        clock.advance(10)
        (tree / "system.slice/slurmstepd.scope/job_77/cpu.stat").write_text("usage_usec 6000000\n")
    reading = m.reading
    assert reading.cpu_s == 5
    assert reading.marginal is not None
    assert reading.process is not None
    assert reading.energy is not None
    assert reading.energy.joules == pytest.approx(1100)
    # half of the CPU time, so half of what work added
    with meter(sensor=sensor) as whole:
        clock.advance(10)
    assert whole.reading.marginal is not None
    assert reading.marginal.joules == pytest.approx(whole.reading.marginal.joules / 2)
    assert reading.marginal.joules < reading.process.joules < reading.energy.joules
    with pytest.raises(InputError, match="of a process or of a control group"):
        meter(pid=1, cgroup="job_77")


@pytest.fixture
def real_group() -> Iterator[Path]:
    top = cgroup.mount()
    folder = (top or Path("/nowhere")) / f"trimwatt-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this user may not make control groups here")
    yield folder
    (folder / "cgroup.kill").write_text("1")
    for _ in range(50):
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.02)


def test_the_kernels_own_account_of_a_group(real_group: Path) -> None:
    spin = "\n".join(
        (
            "import sys, time; sys.stdin.readline(); end = time.process_time() + 0.2",
            "while time.process_time() < end: pass",
            "print(flush=True); sys.stdin.readline()",
        )
    )
    child = subprocess.Popen([sys.executable, "-S", "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    (real_group / "cgroup.procs").write_text(str(child.pid))
    clock = Clock()
    with meter(sensor=FakeMeter(clock), cgroup=real_group.name) as m:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        clock.advance(1)
        assert cgroup.find(real_group.name).pids() == {child.pid}
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert m.reading.cpu_s == pytest.approx(0.2, abs=0.05)
