"""The base alone, as a newcomer's `pip install trimwatt` brings it, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of an environment with the base and nothing else; a skip where pip reaches no packages."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    install = [str(programs / "python"), "-m", "pip", "--no-input", "install", "-qq", "-c", "constraints.txt", "."]
    try:
        done = subprocess.run(install, cwd=ROOT, capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        pytest.skip("pip reached no packages in time")
    if done.returncode:
        if "connection" in done.stderr.lower() or "No matching distribution" in done.stderr:
            pytest.skip(f"pip reaches no packages: {done.stderr.strip().splitlines()[-1]}")
        pytest.fail(done.stderr)
    return programs


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_help_works(bare: Path, tmp_path: Path) -> None:
    done = run(bare / "trimwatt", "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "optimize" in done.stdout


@pytest.mark.slow
def test_a_meter_and_a_store_work(bare: Path, tmp_path: Path) -> None:
    code = """
from pathlib import Path
import trimwatt as tw
from trimwatt.store import open_store
with tw.meter("sum") as m:
    sum(range(10**6))
assert m.reading.cpu_s > 0
store = open_store(Path("."))
store.set("reading", m.reading.to_dict())
store.close()
"""
    done = run(bare / "python", "-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


@pytest.mark.slow
def test_a_missing_extra_is_named_with_its_command(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n" + "1,x\n2,y\n" * 200, encoding="utf-8")
    done = run(bare / "trimwatt", "optimize", "data.csv", "--target", "b", cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'trimwatt[" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]
