"""`import trimwatt` and `--help` stay light: no framework, little CPU."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HEAVY = {
    "torch", "sklearn", "onnx", "onnxruntime", "onnxscript", "skl2onnx", "pandas", "scipy", "numpy", "altair",
    "vl_convert", "sqlalchemy", "jinja2", "pyarrow", "PIL", "torch_pruning", "skops", "safetensors", "cloudpickle",
}  # fmt: skip
TRIMWATT = Path(sysconfig.get_path("scripts")) / "trimwatt"


def python(code: str, *arguments: str) -> str:
    """What a fresh interpreter prints for `code`."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(code: str) -> set[str]:
    """Top-level modules that `code` loads, which may end by SystemExit."""
    script = f"""
import contextlib, io, json, sys
before = set(sys.modules)
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    exec({code!r})
print(json.dumps(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
"""
    return set(json.loads(python(script)))


def least_cpu(code: str, times: int = 7) -> float:
    """The least CPU time of `times` fresh interpreters in `code`, as a multiple of what importing asyncio takes there.

    Both are timed in turn, so that a slow or crowded host slows both: the multiple is the same on any.
    """
    script = """
import contextlib, io, time
start = time.process_time()
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    exec({!r})
took = time.process_time() - start
print(took)
"""
    took = [[float(python(script.format(each))) for each in (code, "import asyncio")] for _ in range(times)]
    ours, yardstick = map(min, zip(*took, strict=True))
    return ours / yardstick


def test_importing_loads_no_framework_and_none_of_the_bases_own() -> None:
    assert loaded("import trimwatt") & (HEAVY | {"typer", "rich", "psutil"}) == set()


def test_the_check_sees_what_is_loaded() -> None:
    assert "numpy" in loaded("import trimwatt.workload") & HEAVY


def test_importing_takes_little_cpu() -> None:
    assert least_cpu("import trimwatt") <= 1  # about 0.05 s


HELP = "import sys; sys.argv = ['trimwatt', '--help']; from trimwatt.commands import main; main()"


def test_help_loads_no_framework() -> None:
    assert loaded(HELP) & HEAVY == set()


def test_help_takes_little_cpu() -> None:
    assert least_cpu(HELP) <= 3  # about 0.15 s


@pytest.mark.parametrize("command", [[sys.executable, "-m", "trimwatt"], [str(TRIMWATT)]], ids=["module", "script"])
def test_help_is_printed(command: list[str]) -> None:
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert "optimize" in done.stdout
    assert "demo" in done.stdout
