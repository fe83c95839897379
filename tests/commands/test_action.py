"""action.yml: its scripts, run as a runner runs them, with what an outsider might hand them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="the action runs in bash")


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    read: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return read


def script(action: dict[str, Any], name: str) -> str:
    return str(next(step["run"] for step in action["runs"]["steps"] if step["name"].startswith(name)))


def run(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """As the runner calls `shell: bash`."""
    shell = [str(BASH), "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    given = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
    return subprocess.run(shell, env=given, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose remote is a path, where --upload-pack would run a command; its first commit is not in it yet."""

    def git(*words: str, cwd: Path = tmp_path) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *words], cwd=cwd, check=True, capture_output=True)  # noqa: S607

    git("init", "-q", "-b", "main", "origin")
    git("commit", "-q", "--allow-empty", "-m", "first", cwd=tmp_path / "origin")
    git("clone", "-q", "origin", "clone")
    git("checkout", "-q", "-b", "other", cwd=tmp_path / "origin")
    git("commit", "-q", "--allow-empty", "-m", "second", cwd=tmp_path / "origin")
    return tmp_path / "clone"


@pytest.mark.parametrize("against", ["other", "main", "HEAD"])
def test_a_commit_is_fetched_where_it_is_not_there(action: dict[str, Any], clone: Path, against: str) -> None:
    done = run(script(action, "Fetch"), clone, AGAINST=against)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "against",
    ["--upload-pack=touch ../ran;false", "-u touch", "+main:main", "other:refs/heads/main", "--all", "main --force",
     "main\n--all", "\x1b]0;owned\x07", "-"],
)  # fmt: skip
def test_what_git_would_take_for_an_option_is_refused(action: dict[str, Any], clone: Path, against: str) -> None:
    before = sorted(path.name for path in clone.parent.iterdir())
    done = run(script(action, "Fetch"), clone, AGAINST=against)
    assert done.returncode == 2
    assert done.stderr.startswith("trimwatt: against is a commit, a branch or a tag, got ")
    assert done.stderr.count("\n") == 1 and done.stderr.rstrip("\n").isprintable()
    assert sorted(path.name for path in clone.parent.iterdir()) == before


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A python that writes down how it was called."""
    place = tmp_path / "bin" / "python"
    place.parent.mkdir()
    place.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$HOME/words"\n')
    place.chmod(0o755)
    return place.parent


def test_it_installs_from_its_own_checkout_unless_told_otherwise(
    action: dict[str, Any], tmp_path: Path, python: Path
) -> None:
    path = f"{python}{os.pathsep}{os.environ['PATH']}"
    for given, taken in (
        (action["inputs"]["install"]["default"], "/here/trimwatt"), ("trimwatt[torch]>=1", "trimwatt[torch]>=1"),
    ):  # fmt: skip
        done = run(
            script(action, "Install"), tmp_path, REQUIREMENT=given, GITHUB_ACTION_PATH="/here/trimwatt", PATH=path
        )
        assert done.returncode == 0, done.stderr
        words = (tmp_path / "words").read_text().splitlines()
        assert words == ["-P", "-m", "pip", "install", "--quiet", "--", taken]


@pytest.mark.parametrize("given", ["--index-url=http://127.0.0.1:1/", "-r requirements.txt", "-e ."])
def test_what_pip_would_take_for_an_option_is_refused(
    action: dict[str, Any], tmp_path: Path, python: Path, given: str
) -> None:
    path = f"{python}{os.pathsep}{os.environ['PATH']}"
    done = run(script(action, "Install"), tmp_path, REQUIREMENT=given, GITHUB_ACTION_PATH="/here", PATH=path)
    assert done.returncode == 2 and not (tmp_path / "words").exists()


def test_a_pip_of_the_checkout_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('the checkout ran')\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pip", "--version"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.startswith("pip ")


@pytest.mark.parametrize(
    "hostile",
    [{"CHECKS": "one --save=x"}, {"CHECKS": "--force"}, {"CONFIG": "--static"}, {"BUDGET": "--force"},
     {"AGAINST": "--save=x"}, {"BASELINE": "--config=x"}],
)  # fmt: skip
def test_no_input_becomes_an_option_of_the_check(
    action: dict[str, Any], tmp_path: Path, hostile: dict[str, str]
) -> None:
    fake = tmp_path / "bin" / "trimwatt"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\ntouch "$HOME/ran"\n')
    fake.chmod(0o755)
    given = {
        "AGAINST": "",
        "BASELINE": "",
        "CONFIG": "pyproject.toml",
        "CHECKS": "",
        "BUDGET": "1min",
        "STRICT": "false",
    }
    variables = {**given, **hostile, "RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "out"),
                 "PATH": f"{fake.parent}{os.pathsep}{os.environ['PATH']}"}  # fmt: skip
    done = run(script(action, "Check"), tmp_path, **variables)
    assert done.returncode == 2 and done.stderr.startswith("trimwatt: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "ran").exists()


def test_no_input_is_part_of_a_script(action: dict[str, Any]) -> None:
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"]
