"""What a study ran on: enough to judge its figures, nothing that names the machine or its user."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("trimwatt", "numpy", "scikit-learn", "onnx", "onnxruntime", "skl2onnx", "torch", "torch-pruning")
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "sve")


def facts(seed: int) -> dict[str, Any]:
    """The host of study.json."""
    import psutil

    return {
        "cpu": _cpu_model(),
        "flags": _flags(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "versions": {"python": platform.python_version(), **_versions()},
        "git": _revision(),
        "seed": seed,
        "command": _command(),
    }


def _command() -> list[str] | None:
    """Our own command line, folders of files that are there left out; None where another program asked."""
    if Path(sys.argv[0]).stem not in ("trimwatt", "__main__"):
        return None
    return ["trimwatt", *(_without_folder(word) for word in sys.argv[1:])]


_GIVEN = re.compile(r"(--[^=]+=|-\w)?(.*)", re.DOTALL)


def _without_folder(word: str) -> str:
    """The name of a path that is there, also behind its option (`--output=/data/out`); any other word as it is."""
    found = _GIVEN.fullmatch(word)
    option, value = (found[1] or "", found[2]) if found else ("", word)
    name = Path(value).name
    return f"{option}{name}" if os.sep in value and name and os.path.lexists(value) else word


def _cpuinfo(key: str) -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _cpu_model() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _flags() -> list[str]:
    present = set((_cpuinfo("flags") or _cpuinfo("Features") or "").split())
    return [flag for flag in _FLAGS if flag in present]


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _revision() -> str | None:
    """The revision of the folder the study was started in, None outside a repository."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)  # noqa: S607
    except OSError:
        return None
    return done.stdout.strip() or None
