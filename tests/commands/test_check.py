"""trimwatt check on the command line: exit codes, what goes where, and the action and hook that call it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORK = "def busy():\n    total = 0\n    for i in range({steps}):\n        total += i * i\n"
CHECK = '[tool.trimwatt.check.busy]\ncallable = "work:busy"\n'
GIT = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]


def trimwatt(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trimwatt", "check", *words]
    kept = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=kept)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "work.py").write_text(WORK.format(steps=10_000), encoding="utf-8")
    (folder / "pyproject.toml").write_text(CHECK, encoding="utf-8")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*GIT, *words], cwd=folder, check=True)
    return folder


def test_static_reads_and_runs_nothing(repo: Path) -> None:
    (repo / "pyproject.toml").write_text('[tool.trimwatt.check.x]\ncommand = ["touch", "ran"]\n', encoding="utf-8")
    done = trimwatt(repo, "--static")
    assert (done.returncode, done.stdout, done.stderr) == (0, "valid: x\n", "")
    assert not (repo / "ran").exists()
    assert json.loads(trimwatt(repo, "--static", "--json").stdout) == {"valid": True, "checks": ["x"]}
    (repo / "pyproject.toml").write_text('[tool.trimwatt.check.x]\ncommand = "true"\nenrgy = "5 J"\n', encoding="utf-8")
    wrong = trimwatt(repo, "--static")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.count("\n") == 1
    assert "did you mean energy?" in wrong.stderr


def test_twice_the_work_ends_with_1_and_a_summary(repo: Path) -> None:
    (repo / "src" / "work.py").write_text(WORK.format(steps=20_000), encoding="utf-8")
    summary = repo / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    words = ("--against", "HEAD", "--pairs", "10", "--markdown", "-", "--json")
    done = trimwatt(repo, *words, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert (found["schema"], found["status"], found["exit_code"]) == ("trimwatt/check/1", "fail", 1)
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n### trimwatt check: ❌ The gate is closed: 1 of 1 limits is broken.")
    assert "| busy | CPU seconds against HEAD |" in text
    assert "busy: running beside HEAD" in done.stderr


def test_a_budget_that_is_kept_and_one_that_an_estimate_cannot_settle(repo: Path) -> None:
    (repo / "pyproject.toml").write_text(CHECK + 'latency = "1 h"\n', encoding="utf-8")
    done = trimwatt(repo, "--pairs", "5", "--save", "base.json")
    assert done.returncode == 0, done.stderr
    assert "✓ latency" in done.stdout
    assert "The limit is kept." in done.stdout
    again = trimwatt(repo, "--pairs", "5", "--save", "base.json")
    assert (again.returncode, "give --force" in again.stderr) == (2, True)
    saved = json.loads((repo / "base.json").read_text(encoding="utf-8"))
    assert saved["schema"] == "trimwatt/baseline/1"
    assert str(repo) not in json.dumps(saved)
    wide = trimwatt(repo, "--pairs", "5", "--json")
    joules = json.loads(wide.stdout)["checks"][0]["sample"]["energy"]["joules"]
    (repo / "pyproject.toml").write_text(CHECK + f'energy = "{joules:.9f} J"\n', encoding="utf-8")
    open_end, strict = trimwatt(repo, "--pairs", "5"), trimwatt(repo, "--pairs", "5", "--strict")
    assert (open_end.returncode, strict.returncode) == (0, 4)
    assert "not settled" in open_end.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--against", "no-such"], "is no commit of this repository"),
        (["other"], "there is no check 'other'; the file has busy"),
        (["--budget", "5 J"], "is not time"),
        (["--markdown", "-"], "$GITHUB_STEP_SUMMARY, which is not set"),
        (["--config", "none.toml"], "does not exist"),
        (["--baseline", "pyproject.toml"], "no baseline"),
        (["--save", "gone/base.json"], "does not exist"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_one_line(repo: Path, words: list[str], message: str) -> None:
    done = trimwatt(repo, *words, GITHUB_STEP_SUMMARY="")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_terminated_gate_takes_its_tree_away(repo: Path) -> None:
    (repo / "pyproject.toml").write_text(
        f'[tool.trimwatt.check.long]\ncommand = ["{sys.executable}", "-c", "import time; time.sleep(60)"]\n'
    )
    command = [sys.executable, "-m", "trimwatt", "check", "--against", "HEAD"]
    with subprocess.Popen(command, cwd=repo, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        trees = repo / ".git" / "worktrees"
        deadline = time.monotonic() + 60
        while not (trees.is_dir() and any(trees.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 143
    assert not trees.is_dir() or not any(trees.iterdir())


def _yaml(path: Path) -> object:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_hook_measures_nothing() -> None:
    (hook,) = _yaml(ROOT / ".pre-commit-hooks.yaml")  # type: ignore[misc]
    assert hook["entry"].split() == ["trimwatt", "check", "--static"]
    assert hook["pass_filenames"] is False


@pytest.mark.skipif(shutil.which("bash") is None, reason="the action runs in bash")
def test_the_actions_script_passes_what_it_was_given_and_the_exit_code_on(tmp_path: Path) -> None:
    action = _yaml(ROOT / "action.yml")
    step = next(s for s in action["runs"]["steps"] if s.get("id") == "check")  # type: ignore[index]
    fake = tmp_path / "bin" / "trimwatt"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$RUNNER_TEMP/words"\necho \'{"status": "fail"}\'\nexit 1\n')
    fake.chmod(0o755)
    python = tmp_path / "bin" / "python"
    python.symlink_to(sys.executable)
    given = {
        "AGAINST": "abc; touch x", "BASELINE": "", "CONFIG": "py project.toml", "CHECKS": "one two", "BUDGET": "1min",
        "STRICT": "true", "RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "out"),
        "PATH": f"{fake.parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    # as the runner calls `shell: bash`
    shell = [str(shutil.which("bash")), "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(shell, env=given, cwd=tmp_path)
    assert done.returncode == 1
    assert (tmp_path / "words").read_text().splitlines() == [
        "check", "--config", "py project.toml", "--budget", "1min", "--markdown", "-", "--against", "abc; touch x",
        "--strict", "--json", "one", "two",
    ]  # fmt: skip
    assert (tmp_path / "out").read_text() == "status=fail\n"
    assert "${{" not in step["run"], "what a pull request chooses must not become part of a script"
