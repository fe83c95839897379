"""Where this program runs, told from real files and the environment, and what can be done for its readings there.

Each kind is told from a tree like the real one in tests; what was not run in such a place is marked untested.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# a container's runtime leaves its name in the control group of process 1
_CONTAINERS = re.compile(r"docker|containerd|kubepods|libpod|lxc|garden", re.IGNORECASE)
# of SMBIOS system enclosures: portable, laptop, notebook, hand held, sub notebook, tablet, convertible, detachable
_PORTABLE = {"8", "9", "10", "11", "14", "30", "31", "32"}


@dataclass(frozen=True)
class Place:
    """kind: "container", "virtual machine", ... detail: what gave it away. advice: what can be done there.

    tested: whether trimwatt was run in such a place.
    """

    kind: str
    detail: str
    advice: str
    tested: bool = False


def look(
    root: Path = Path("/"), environ: Mapping[str, str] | None = None, system: str | None = None
) -> tuple[Place, ...]:
    """Every place this is, the innermost first: Colab is a container in a virtual machine. Never empty.

    root: of the file system. environ: os.environ's by default. system: as platform.system() tells.
    """
    given = os.environ if environ is None else environ
    name = platform.system() if system is None else system
    if name in ("Darwin", "Windows"):
        return (*_hosted(given), *_batch(given), _DARWIN if name == "Darwin" else _WINDOWS)
    inner = (*_hosted(given), *_batch(given), *_container(root, given))
    return (*inner, _machine(root))


_DARWIN = Place(
    "macOS",
    "platform",
    "the system shows energy to root alone (powermetrics); trimwatt estimates from CPU time, or calibrate to a plug",
)
_WINDOWS = Place(
    "Windows", "platform", "energy counters need a driver; trimwatt estimates from CPU time, or calibrate to a plug"
)


def _hosted(environ: Mapping[str, str]) -> tuple[Place, ...]:
    if name := next((n for n in sorted(environ) if n.startswith("COLAB_")), ""):
        advice = "CPU power is estimated; a GPU runtime's NVIDIA counter is read. Compare ratios, not watts"
        return (Place("Google Colab", name, advice),)
    if name := next((n for n in sorted(environ) if n.startswith("KAGGLE_")), ""):
        advice = "CPU power is estimated; a GPU session's NVIDIA counter is read. Compare ratios, not watts"
        return (Place("Kaggle", name, advice),)
    return ()


def _batch(environ: Mapping[str, str]) -> tuple[Place, ...]:
    found = []
    if "KUBERNETES_SERVICE_HOST" in environ:
        advice = (
            "mount the node's /sys/devices/virtual/powercap read-only (a hostPath volume) and join the group of its"
            " energy_uj, or read on the node"
        )
        found.append(Place("Kubernetes pod", "KUBERNETES_SERVICE_HOST", advice))
    if "SLURM_JOB_ID" in environ:
        advice = (
            "ask for the node alone (--exclusive) and ask its operators to give a group the right to read energy_uj"
        )
        found.append(Place("Slurm job", f"SLURM_JOB_ID {environ['SLURM_JOB_ID']}", advice))
    return tuple(found)


def _container(root: Path, environ: Mapping[str, str]) -> tuple[Place, ...]:
    sign = ""
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        sign = "/.dockerenv" if (root / ".dockerenv").exists() else "/run/.containerenv"
    elif found := _CONTAINERS.search(_text(root / "proc/1/cgroup")):
        sign = f"/proc/1/cgroup names {found[0]}"
    elif environ.get("container"):
        sign = f"container={environ['container']}"
    if not sign:
        return ()
    advice = (
        "on bare metal mount /sys/devices/virtual/powercap read-only and --group-add the group that may read energy_uj;"
        " in a virtual machine nothing opens them"
    )
    return (Place("container", sign, advice, tested=True),)


def _machine(root: Path) -> Place:
    version = _text(root / "proc/version")
    if re.search("microsoft|wsl", version, re.IGNORECASE):
        return Place(
            "WSL", "/proc/version", "its kernel shows no energy counters; run on Windows' host or Linux itself"
        )
    product = _text(root / "sys/class/dmi/id/product_name")
    if "hypervisor" in _flags(root) or re.search(r"KVM|QEMU|VMware|VirtualBox|Virtual Machine|HVM domU", product):
        return Place(
            "virtual machine",
            "hypervisor flag of the processor" if "hypervisor" in _flags(root) else product,
            "energy counters cannot be enabled from inside: run on the host or on bare metal, or calibrate to a plug's"
            " log while the host runs nothing else",
            tested=True,
        )
    if _text(root / "sys/class/dmi/id/chassis_type") in _PORTABLE or list(_batteries(root)):
        return Place("laptop", product or "battery", "unplugged, the battery calibrates the estimate; see --calibrate")
    return Place("bare metal", product or "no hypervisor flag", "energy counters are here once they may be read")


def _flags(root: Path) -> list[str]:
    match = re.search(r"^flags\s*:(.*)$", _text(root / "proc/cpuinfo"), re.MULTILINE)
    return match[1].split() if match else []


def _batteries(root: Path) -> list[Path]:
    folder = root / "sys/class/power_supply"
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    own = [entry for entry in entries if _text(entry / "type") == "Battery"]
    return [entry for entry in own if _text(entry / "scope") != "Device"]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
