"""Another commit, checked out beside this one for as long as it is needed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from trimwatt.errors import InputError

_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


def root(folder: Path) -> Path:
    """The top folder of the git repository that `folder` lies in; raises InputError outside of one."""
    return Path(_git(folder, "rev-parse", "--show-toplevel"))


def revision(folder: Path, name: str) -> str:
    """The full hash of a commit; raises InputError for a name that git does not know."""
    return _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", asked=name)


def _git(folder: Path, *words: str, asked: str = "") -> str:
    # inside a hook git names its own repository and index, which another tree must not inherit
    kept = {name: value for name, value in os.environ.items() if name not in _GIT}
    command = ["git", "-c", f"core.hooksPath={os.devnull}", *words]
    try:
        done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=300)  # noqa: S603
    except OSError as error:
        raise InputError(f"git cannot be started ({error.strerror}); --against needs it") from error
    if done.returncode == 0:
        return done.stdout.strip()
    if asked:
        raise InputError(f"{asked!r} is no commit of this repository; fetch it first (in CI: fetch-depth: 0)")
    last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise InputError(f"git {words[0]} failed: {last}")


@contextlib.contextmanager
def checked_out(repository: Path, commit: str, share: Sequence[str] = ()) -> Iterator[Path]:
    """A work tree of `commit` in a temporary folder, gone afterwards whatever happens.

    share: paths of `repository` that no commit holds (data, an environment), linked into it.
    """
    with tempfile.TemporaryDirectory(prefix="trimwatt-", ignore_cleanup_errors=True) as folder:
        tree = Path(folder).resolve() / "tree"
        _git(repository, "worktree", "add", "--detach", "--force", str(tree), commit)
        try:
            for name in share:
                _link(repository, tree, name)
            yield tree
        finally:
            with contextlib.suppress(InputError):
                _git(repository, "worktree", "remove", "--force", str(tree))
    # where the removal failed, git forgets a tree whose folder is gone
    with contextlib.suppress(InputError):
        _git(repository, "worktree", "prune")


def _link(repository: Path, tree: Path, name: str) -> None:
    source, target = repository / name, tree / name
    if not source.exists():
        raise InputError(f"share names {name!r}, which is not in {repository.name}")
    if target.exists() or target.is_symlink():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    os.symlink(source.resolve(), target, target_is_directory=source.is_dir())


def environment(tree: Path, path: Sequence[str]) -> dict[str, str]:
    """The environment of what runs in `tree`: its own folders before any other to import from."""
    own = [str((tree / folder).resolve()) for folder in path if (tree / folder).is_dir()]
    before = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    kept = {name: value for name, value in os.environ.items() if name not in _GIT}
    return {**kept, "PYTHONPATH": os.pathsep.join([*own, *before])}


def set_up(tree: Path, words: Sequence[str], path: Sequence[str]) -> None:
    """Run a set-up command in `tree`; raises InputError with its last line where it fails."""
    if not words:
        return
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, without a shell
            list(words), cwd=tree, env=environment(tree, path), stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except OSError as error:
        raise InputError(f"setup {words[0]!r} cannot be started ({error.strerror})") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()[-1]
        raise InputError(f"setup {' '.join(words)} ended with code {done.returncode} ({last[:200]})")
