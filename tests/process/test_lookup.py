"""The current folder is importable only while a named callable is resolved, and last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimwatt import _lookup

SHADOWS = ("numpy", "psutil", "queue", "random", "typer", "sitecustomize", "usercustomize", "cloudpickle")
WORK = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from trimwatt._process import Child, ForkServer
for server in (None, ForkServer(["numpy", "psutil", "onnxruntime", "queue"])):
    with Child("handlers_for_test:echo", ("a",), server=server) as child:
        import numpy
        print(child.call({{"x": numpy.zeros(1)}}, 60)[0])
    server and server.close()
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of data with modules that leave a mark when they are imported."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(f"open('ran', 'a').write('{name} ')\nraise ImportError('shadow')\n")
    return folder


def test_modules_beside_the_data_never_run(hostile: Path, tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(WORK)
    commands = [
        ([sys.executable, str(script)], "a\na\n"),
        ([sys.executable, "-m", "trimwatt", "doctor", "--help"], "doctor"),
    ]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for command, wanted in commands:
        done = subprocess.run(command, cwd=hostile, capture_output=True, text=True, env=kept)
        assert done.returncode == 0 and wanted in done.stdout, done.stderr
    assert not (hostile / "ran").exists()


def test_the_folder_is_last_while_a_callable_is_resolved_and_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_lookup, "_named", [])
    before = list(sys.path)
    assert str(tmp_path) not in _lookup.search_path()
    with _lookup.current_folder():
        assert sys.path == [*before, str(tmp_path)]
        # a module may put its folder first by itself
        sys.path.insert(0, str(tmp_path))
    assert sys.path == [str(tmp_path), *before]
    sys.path[:] = before
    found = _lookup.search_path()
    assert found.index(str(tmp_path)) >= len(set(before)) - 1
    assert _lookup.package_folder() in found
