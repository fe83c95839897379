"""Where a program runs, told from trees like the real ones; and how fit a machine is to measure on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from trimwatt.meter import conditions, opening, probe, surroundings
from trimwatt.meter._base import Probe
from trimwatt.meter.fake import FakePowercap, FakeZone, constant
from trimwatt.meter.probe import Place

METAL = {"proc/cpuinfo": "flags\t: fpu sse2\n", "proc/version": "Linux version 6.8 (gcc)"}
GUEST = {"proc/cpuinfo": "flags\t: fpu hypervisor sse2\n", "proc/version": "Linux version 6.8 (gcc)"}
LAPTOP = {**METAL, "sys/class/dmi/id/chassis_type": "10\n", "sys/class/dmi/id/product_name": "ThinkPad X1\n"}
BATTERY = {**METAL, "sys/class/power_supply/BAT0/type": "Battery\n"}
MOUSE = {**METAL, "sys/class/power_supply/hid/type": "Battery\n", "sys/class/power_supply/hid/scope": "Device\n"}
KUBE = {**METAL, "proc/1/cgroup": "0::/kubepods.slice/pod1/cri-containerd-ab.scope\n"}


def _tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "environ", "kinds"),
    [
        (METAL, {}, ["bare metal"]),
        (LAPTOP, {}, ["laptop"]),
        (BATTERY, {}, ["laptop"]),
        (MOUSE, {}, ["bare metal"]),
        (GUEST, {}, ["virtual machine"]),
        ({**METAL, "sys/class/dmi/id/product_name": "VMware7,1"}, {}, ["virtual machine"]),
        ({**METAL, ".dockerenv": ""}, {}, ["container", "bare metal"]),
        ({**GUEST, "run/.containerenv": ""}, {}, ["container", "virtual machine"]),
        ({**GUEST, "proc/1/cgroup": "12:cpu:/docker/abc\n"}, {}, ["container", "virtual machine"]),
        (METAL, {"container": "podman"}, ["container", "bare metal"]),
        (KUBE, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, ["Kubernetes pod", "container", "bare metal"]),
        (METAL, {"SLURM_JOB_ID": "77"}, ["Slurm job", "bare metal"]),
        ({**GUEST, ".dockerenv": ""}, {"COLAB_GPU": "0"}, ["Google Colab", "container", "virtual machine"]),
        (GUEST, {"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, ["Kaggle", "virtual machine"]),
        ({**GUEST, "proc/version": "Linux version 5.15.1-microsoft-standard-WSL2"}, {}, ["WSL"]),
        ({}, {}, ["bare metal"]),
    ],
)
def test_each_place_is_told_from_its_files(
    tmp_path: Path, files: dict[str, str], environ: dict[str, str], kinds: list[str]
) -> None:
    found = surroundings.look(_tree(tmp_path, files), environ, "Linux")
    assert [place.kind for place in found] == kinds
    assert all(place.detail and place.advice for place in found)


@pytest.mark.parametrize(("system", "kind"), [("Darwin", "macOS"), ("Windows", "Windows")])
def test_other_systems_are_said_and_marked_untested(tmp_path: Path, system: str, kind: str) -> None:
    (place,) = surroundings.look(tmp_path, {}, system)
    assert place.kind == kind and not place.tested and "estimates" in place.advice


def test_only_places_where_it_ran_are_called_tested(tmp_path: Path) -> None:
    found = surroundings.look(_tree(tmp_path, {**KUBE, ".dockerenv": ""}), {"SLURM_JOB_ID": "1", "COLAB_GPU": "1"})
    assert {p.kind for p in found if p.tested} <= {"container", "virtual machine"}


def test_neighbours_are_seen_and_what_they_mean_is_said() -> None:
    busy = conditions.load(lambda: 1.5, lambda: 0.2)
    assert busy.state == "poor" and "neighbours" in busy.detail
    assert conditions.load(lambda: 0.0, lambda: 0.1).state == "good"
    assert conditions.load(lambda: 0.0, lambda: 1e6).state == "poor"
    assert conditions.load(lambda: None, lambda: None).state == "unknown"


@pytest.mark.parametrize(
    ("files", "state", "words"),
    [
        ({"cpu0/cpufreq/scaling_governor": "performance", "intel_pstate/no_turbo": "1"}, "good", "turbo off"),
        ({"cpu0/cpufreq/scaling_governor": "powersave", "intel_pstate/no_turbo": "0"}, "poor", "turbo on"),
        ({"cpu0/cpufreq/scaling_governor": "schedutil", "cpufreq/boost": "1"}, "poor", "turbo on"),
        ({"cpufreq/boost": "0"}, "good", "governor not shown, turbo off"),
        ({}, "unknown", "pairs are needed"),
    ],
)
def test_frequency(tmp_path: Path, files: dict[str, str], state: str, words: str) -> None:
    tree = _tree(tmp_path, {f"sys/devices/system/cpu/{name}": text for name, text in files.items()})
    found = conditions._frequency(tree)
    assert found.state == state and words in found.detail


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    assert conditions.writable(tmp_path).state == "good"
    assert list(tmp_path.iterdir()) == []
    gone = conditions.writable(tmp_path / "absent")
    assert gone.state == "poor" and "give one with -o" in gone.detail


def test_every_condition_is_looked_at_on_this_machine(tmp_path: Path) -> None:
    found = conditions.look(folder=tmp_path)
    names = ["load", "frequency", "clock", "affinity", "perf counters", "cgroup v2", "disk", "network"]
    assert [c.name for c in found] == names
    assert all(c.state in ("good", "poor", "unknown") and c.detail for c in found)


def test_each_sensor_is_looked_for_with_mode_and_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = FakePowercap(tmp_path, [FakeZone("intel-rapl:0", "package-0", constant(5))])
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(tree.root))
    tree.energy_file("intel-rapl:0").chmod(0o400)
    found = probe.sensors()
    assert {"powercap", "perf", "nvml", "hwmon", "battery"} <= {p.probe.sensor for p in found}
    (zone,) = (p for p in found if p.probe.sensor == "powercap")
    assert zone.mode == "-r--------" and zone.owner


def test_a_sensor_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    from trimwatt.meter import hwmon

    def broken() -> None:
        raise OSError("the driver is broken")

    monkeypatch.setattr(hwmon, "probe", broken)
    (place,) = (p for p in probe.sensors() if p.probe.sensor == "hwmon")
    assert place.probe.state == "closed" and "the driver is broken" in place.probe.detail


def test_the_script_opens_to_a_group_and_is_shell(tmp_path: Path) -> None:
    path = "/sys/class/powercap/intel-rapl:0/energy_uj\nrm -rf x"
    places = [
        Place(Probe("powercap", path, "closed", "package-0", "sudo ..."), "-r--------", "root", "root"),
        Place(Probe("nvml", "libnvidia-ml.so.1", "absent", "", "")),
    ]
    text = opening.script(places)
    assert "CVE-2020-8694" in text and "groupadd --system energy" in text and "a+r" not in text
    assert "\nrm -rf" not in text
    file = tmp_path / "open.sh"
    file.write_text(text)
    assert subprocess.run(["/bin/sh", "-n", str(file)], capture_output=True, text=True).stderr == ""
    assert opening.closed(places) == places[:1]
