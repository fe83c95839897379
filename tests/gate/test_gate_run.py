"""The gate on a small repository: it sees a change that is large, and lets the same code pass."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import gate_repository as repository
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "compare"))

from simulated_host import Host

from trimwatt.compare._base import Block
from trimwatt.compare.arms import ChildArm
from trimwatt.errors import InputError
from trimwatt.gate import baseline, config, run
from trimwatt.gate.result import Finding
from trimwatt.gate.target import CalledArm
from trimwatt.host import launcher
from trimwatt.meter import cpu_model


def gate(repo: Path, **options: Any) -> run.Ran:
    asked = {"most_pairs": 20, "most_s": 5.0, "seed": 0, "sensor": cpu_model.detect(), **options}
    return run.run(config.read(repo / "pyproject.toml"), repo, run.Options(**asked))


def findings(ran: run.Ran) -> dict[str, Finding]:
    return {f"{f.what} {f.against}": f for check in ran.outcome.checks for f in check.findings}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    return repository.make(folder)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callables run for real in their trees and take what the tree says they do, on a noisy host: no clock decides."""
    host = Host(0)

    def run_counted(arm: CalledArm, count: int) -> Block:
        ran = ChildArm.run(arm, count)
        (folder, *_), names = arm._given[1], ("rows", "src/work.py")
        text = next(path.read_text() for path in (Path(folder, name) for name in names) if path.is_file())
        seconds = count * int(re.findall(r"\d+", text)[0]) * 5e-8 * host.factor(0)
        return dataclasses.replace(ran, cpu_s=seconds, wall_s=seconds)

    monkeypatch.setattr(CalledArm, "run", run_counted)


@pytest.mark.usefixtures("counted")
def test_a_callable_that_does_twice_the_work_is_flagged_and_the_same_code_is_not(repo: Path) -> None:
    same = gate(repo, against="HEAD", strict=False, most_pairs=10)
    assert same.outcome.exit_code == 0
    assert findings(same)["energy HEAD"].status != "fail"
    repository.write(repo, steps=20_000)
    more = gate(repo, against="HEAD", most_pairs=10)
    found = findings(more)["energy HEAD"]
    assert (more.outcome.exit_code, found.status, found.basis) == (1, "fail", "cpu_seconds")
    assert found.low is not None and found.high is not None
    assert found.low < 2.0 < found.high * 1.15
    assert any("CPU seconds are compared" in w for c in more.outcome.checks for w in c.warnings)
    assert len(repository.git(repo, "worktree", "list").splitlines()) == 1
    assert json.loads(json.dumps(more.outcome.to_dict(), allow_nan=False))["status"] == "fail"


def test_a_command_runs_in_each_tree_with_its_own_files(repo: Path) -> None:
    check = """
[tool.trimwatt.check.whole]
command = ["python3", "src/work.py"]
files = ["src"]
size = "1 MB"
quality = { metric = "accuracy", floor = 0.85, max_drop = 0.01 }
"""
    repository.write(repo, steps=80_000, accuracy=0.88, check=check)
    ran = gate(repo, against="HEAD", most_pairs=5)
    found = findings(ran)
    assert found["energy HEAD"].status == "fail"
    assert found["quality HEAD"].status == "fail"
    assert found["quality budget"].status == "pass"
    assert found["size budget"].value == (repo / "src" / "work.py").stat().st_size
    assert any("prints something else" in w for w in ran.outcome.checks[0].warnings)


def test_budgets_are_held_alone(repo: Path) -> None:
    check = repository.CHECK + (
        'energy = "1 uJ"\nlatency = "1 h"\nquality = { metric = "accuracy", floor = 0.95 }\n'
    )  # fmt: skip
    repository.write(repo, check=check)
    found = findings(gate(repo, most_pairs=6))
    statuses = {name: f.status for name, f in found.items()}
    assert statuses == {"energy budget": "fail", "latency budget": "pass", "quality budget": "fail"}
    assert found["energy budget"].note == "estimated"
    assert found["energy budget"].low is not None and found["energy budget"].low > 1e-6


@pytest.mark.usefixtures("counted")
def test_a_baseline_holds_on_its_host_and_for_its_work(repo: Path, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(run.dumps(gate(repo, most_pairs=5).baseline), encoding="utf-8")
    saved = baseline.read(path)
    repository.write(repo, steps=25_000)
    ran = gate(repo, saved=saved, most_pairs=5)
    found = findings(ran)["energy baseline"]
    assert (found.status, ran.outcome.exit_code) == ("fail", 1)
    assert any("unpaired" in w for w in ran.outcome.checks[0].warnings)
    with pytest.raises(InputError, match=r"another host .cpu was 'other'.*--against"):
        gate(repo, saved={**saved, "host": {**saved["host"], "cpu": "other"}})
    repository.write(repo, check=repository.CHECK + "threads = 2\n")
    with pytest.raises(InputError, match="ran something else"):
        gate(repo, saved=saved, most_pairs=5)
    with pytest.raises(InputError, match="knows no check"):
        gate(repo, saved={**saved, "checks": {}}, most_pairs=5)
    with pytest.raises(InputError, match="give one"):
        gate(repo, saved=saved, against="HEAD")


@pytest.mark.usefixtures("counted")
def test_a_callable_stands_in_its_own_tree(repo: Path) -> None:
    work = 'from pathlib import Path\nROWS = int(Path("rows").read_text())\ndef busy():\n    return sum(range(ROWS))\n'
    (repo / "src" / "work.py").write_text(work, encoding="utf-8")
    (repo / "rows").write_text("20000", encoding="utf-8")
    repository.git(repo, "add", "-A")
    repository.git(repo, "commit", "-q", "-m", "second")
    (repo / "rows").write_text("60000", encoding="utf-8")
    assert findings(gate(repo, against="HEAD", most_pairs=6))["energy HEAD"].status == "fail"


_CUT = '{"schema": "trimwatt/baseline/1", "host": {}, "checks": {"a": {"defined": "", "basis": "", "spent": ["x"]}}}'


def test_a_baseline_is_no_surer_than_its_sittings_differ() -> None:
    luck = np.exp(np.repeat([-0.02, 0.02, -0.01, 0.01], 5))
    found = baseline.ratio(tuple(luck * 1.05), list(np.ones(20) * np.exp(np.tile([-1e-3, 1e-3], 10))))
    assert found.low < 1.02 < 1.05 < found.high


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "other"}', '{"schema": "trimwatt/baseline/1"}', _CUT])
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="no baseline"):
        baseline.read(path)


def test_a_check_that_the_other_commit_lacks_says_so_and_leaves_no_tree(repo: Path) -> None:
    (repo / "src" / "new.py").write_text("def busy():\n    return sum(range(1000))\n", encoding="utf-8")
    repository.write(repo, check='[tool.trimwatt.check.new]\ncallable = "new:busy"\n')
    with pytest.raises(InputError, match=r"new cannot be run at HEAD: .*No module named 'new'"):
        gate(repo, against="HEAD")
    assert len(repository.git(repo, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ('callable = "work:none"', "has no function none"),
        ('callable = "json:dumps"', "imported from elsewhere"),
        ('callable = "work:busy"\nquality = { metric = "f1", floor = 0.5 }', "gives no finite f1"),
        ('command = ["python3", "-c", "raise SystemExit(3)"]', "ended with code 3"),
        ('command = ["python3", "-c", "1"]\nquality = { metric = "f1", floor = 0.5 }', "prints no quality"),
        ('command = ["no-such-program"]', "cannot be started"),
        ('command = ["true"]\nfiles = ["gone.onnx"]', "which is not there"),
        ('artifact = "gone"\ndata = "rows.csv"', "is not there"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(repo: Path, check: str, message: str) -> None:
    repository.write(repo, check=f"[tool.trimwatt.check.x]\n{check}\n")
    with pytest.raises(InputError, match=message):
        gate(repo, most_pairs=5)


def test_a_project_in_a_folder_of_its_repository_is_found_in_the_other_tree(tmp_path: Path) -> None:
    repository.git(tmp_path, "init", "-q", "-b", "main")
    inner = tmp_path / "inner"
    inner.mkdir()
    repository.write(inner)
    repository.git(tmp_path, "add", "-A")
    repository.git(tmp_path, "commit", "-q", "-m", "first")
    repository.write(inner, steps=30_000)
    before = os.getcwd()
    assert findings(gate(inner, against="main", most_pairs=5))["energy main"].status == "fail"
    assert os.getcwd() == before


HIDDEN = """
import os

def busy(steps):
    x = 1
    for i in range(steps):
        x = (x * 31 + i) & 0xFFFF
    return x

if __name__ == "__main__":
    end, start = os.pipe()
    if os.fork() == 0:
        os.write(start, str(busy({steps})).encode())
        os._exit(0)
    os.close(start)
    print(len(os.read(end, 99)) > 0, flush=True)
    os._exit(0)
"""
LEAVES = """
import subprocess, sys
subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
print(True)
"""
COMMAND = "[tool.trimwatt.check.hidden]\ncommand = ['python3', '-S', 'src/work.py']\n"


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """A repository whose check leaves its work to a child that nobody waits for."""
    folder = tmp_path / "hidden"
    folder.mkdir()
    repository.make(folder, check=COMMAND)
    (folder / "src" / "work.py").write_text(HIDDEN.format(steps=1_000_000), encoding="utf-8")
    repository.git(folder, "commit", "-qam", "second")
    return folder


def test_a_commit_that_leaves_more_work_to_a_child_nobody_waits_for_is_flagged(hidden: Path) -> None:
    (hidden / "src" / "work.py").write_text(HIDDEN.format(steps=3_000_000), encoding="utf-8")
    ran = gate(hidden, against="HEAD", most_pairs=5)
    found = findings(ran)["energy HEAD"]
    assert (found.status, ran.outcome.exit_code) == ("fail", 1)
    # of three times the work, the interpreter's own start left out
    assert 1.4 < found.value < 3.3


def test_what_cannot_be_counted_closes_the_gate(hidden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "LINGER_S", 0.1)
    (hidden / "src" / "work.py").write_text(LEAVES, encoding="utf-8")
    ran = gate(hidden, against="HEAD", most_pairs=5)
    found = findings(ran)["energy HEAD"]
    assert (found.status, ran.outcome.exit_code) == ("fail", 1)
    assert found.value < 1 and "not all processes were counted" in found.note and "it left" in found.note
    saved = gate(hidden, most_pairs=5).baseline
    (hidden / "src" / "work.py").write_text(HIDDEN.format(steps=1_000_000), encoding="utf-8")
    with pytest.raises(InputError, match=r"missed processes .*it left.*save it again"):
        gate(hidden, saved=saved, most_pairs=5)
