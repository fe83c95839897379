"""The other commit's tree: there while needed, gone afterwards, also on failure."""

from __future__ import annotations

import os
from pathlib import Path

import gate_repository as repository
import pytest

from trimwatt.errors import InputError
from trimwatt.gate import tree


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    return repository.make(folder)


def worktrees(repo: Path) -> int:
    return len(repository.git(repo, "worktree", "list").splitlines())


def test_a_commit_is_checked_out_beside_and_removed(repo: Path) -> None:
    repository.write(repo, steps=7)
    with tree.checked_out(repo, tree.revision(repo, "HEAD")) as other:
        assert "STEPS = 10000" in (other / "src" / "work.py").read_text()
        assert "STEPS = 7" in (repo / "src" / "work.py").read_text()
        assert worktrees(repo) == 2
    assert not other.exists()
    assert worktrees(repo) == 1
    assert repository.git(repo, "status", "--porcelain") == "M src/work.py"


def test_it_is_removed_after_a_failure_and_where_files_were_left_in_it(repo: Path) -> None:
    def fail() -> None:
        with tree.checked_out(repo, tree.revision(repo, "HEAD")) as other:
            (other / "left").write_text("behind")
            (other / "src" / "work.py").write_text("changed")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert worktrees(repo) == 1


def test_what_no_commit_holds_is_lent_and_survives(repo: Path) -> None:
    (repo / "lent").mkdir()
    (repo / "lent" / "rows.csv").write_text("x\n1\n")
    with tree.checked_out(repo, tree.revision(repo, "HEAD"), ["lent", "src"]) as other:
        assert (other / "lent" / "rows.csv").read_text() == "x\n1\n"
        assert not (other / "src").is_symlink()
    assert (repo / "lent" / "rows.csv").exists()
    with pytest.raises(InputError, match="which is not in"), tree.checked_out(repo, "HEAD", ["nothing"]):
        pass
    assert worktrees(repo) == 1


@pytest.mark.parametrize("name", ["no-such", "--help", "-q", "HEAD~9", ""])
def test_a_name_that_is_no_commit_is_refused(repo: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"no commit|git rev-parse failed"):
        tree.revision(repo, name)


def test_outside_a_repository_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="git rev-parse failed"):
        tree.root(tmp_path)


def test_hooks_and_a_hooks_own_variables_do_not_reach_the_other_tree(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = repo / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ntouch ran-hook\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_DIR", str(repo / "elsewhere"))
    with tree.checked_out(repo, tree.revision(repo, "HEAD")) as other:
        assert not (other / "ran-hook").exists()
        assert "GIT_DIR" not in tree.environment(other, ["src"])


def test_each_tree_imports_its_own(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "before")
    found = tree.environment(repo, ["src", "gone", "."])["PYTHONPATH"].split(os.pathsep)
    assert found == [str(repo / "src"), str(repo), "before"]


def test_a_set_up_that_fails_says_why(repo: Path) -> None:
    tree.set_up(repo, ["python3", "-c", "open('made', 'w')"], ["src"])
    assert (repo / "made").exists()
    with pytest.raises(InputError, match=r"ended with code 3 .oh no"):
        tree.set_up(repo, ["python3", "-c", "import sys; print('oh no'); sys.exit(3)"], [])
    with pytest.raises(InputError, match="cannot be started"):
        tree.set_up(repo, ["no-such-program"], [])
