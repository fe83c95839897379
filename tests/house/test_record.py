"""Records of benchmarks tell what is needed to judge them, and nothing of whose machine it was."""

from __future__ import annotations

import importlib.util
import json
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "_record.py"


@pytest.fixture(scope="module")
def record() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_record", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_paths_and_the_name_of_the_machine_are_left_out(record: ModuleType) -> None:
    root, home = record.ROOT, Path.home()
    text = f"in {root}/src and {root}x, {root.parent}/shared, '{home}/me' on {platform.node()}"
    tidied = record.tidy(text)
    assert tidied.startswith("in ./src and ")
    assert "'~/me'" in tidied
    assert f"{root}/" not in tidied


def test_the_host_is_described_without_its_name(record: ModuleType) -> None:
    host = record.host()
    assert set(host) == {"cpu", "cores", "usable_cores", "memory_bytes", "os", "load_before", "python", "packages"}
    assert host["packages"]["numpy"]
    assert len(platform.node()) <= 3 or platform.node() not in json.dumps(host)


def test_a_failing_command_is_recorded_as_such(record: ModuleType, tmp_path: Path) -> None:
    found = record.run([sys.executable, "-c", "import sys; print('out'); sys.exit('err')"], tmp_path)
    assert found["exit_code"] == 1
    assert found["output_tail"] == ["out", "err"]
    assert found["cpu_s"] > 0


def test_a_name_that_leaves_the_folder_is_refused() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "../x", "--", "true"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "a name of letters" in done.stderr
