"""The folder of a study: never overwritten unasked, never half-written, and never without the user's own files."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trimwatt import _signals
from trimwatt._files import write_whole
from trimwatt.errors import InputError
from trimwatt.store import folder_lock, open_store
from trimwatt.store._base import FILE, IDENTITY
from trimwatt.store._beside import check_beside
from trimwatt.study import _own

# what is being replaced waits in the one until the new study stands; in the other it is only left to be deleted
_FORMER, _REPLACED = ".trimwatt-former-", ".trimwatt-replaced-"
_STATE = "state"
_BELOW = ("trials", "artifact", "work")
# names that come and go with a run
_PASSING = (_FORMER, _REPLACED, "study.db.lock")


def choose(output: str | os.PathLike[str] | None, data: Any, resume: bool, force: bool) -> Path:
    """Where the study goes; raises InputError for a folder that is there and was not meant."""
    name = Path(data).name.split(".")[0].split(":")[0] if isinstance(data, (str, Path)) else "study"
    folder = Path(output) if output is not None else Path(f"trimwatt-{name}")
    if not os.path.lexists(folder):
        if resume:
            raise _nothing_to_resume(folder)
        _check_parent(folder)
        return folder
    if not folder.is_dir():
        what = f"a link to {os.readlink(folder)}, which is no folder" if folder.is_symlink() else "a file"
        raise InputError(f"{folder} is {what}; name a folder with -o")
    if not resume and not force:
        before = "; the study that a killed run was replacing waits in it, --resume puts it back" * bool(_waits(folder))
        raise InputError(
            f"{folder} is there already; add --force to replace it, --resume to go on with it, or -o another{before}"
        )
    if _waits(folder):
        with contextlib.closing(_Held(folder)):
            recover(folder)
    if resume and not any((folder / name).exists() for name in (FILE, IDENTITY)):
        raise _nothing_to_resume(folder)
    check_own(folder)
    # one that runs is refused before the data are read; the lock is taken for good when the folder is
    _Held(folder).close()
    return folder


def _check_parent(folder: Path) -> None:
    """Better before the data are read than after."""
    parent = next(path for path in folder.absolute().parents if os.path.lexists(path))
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(f"{folder} cannot be made, since {parent} is no folder that one can write to; choose with -o")


def _nothing_to_resume(folder: Path) -> InputError:
    return InputError(f"there is no study in {folder} to go on with; leave out --resume to start one")


def check_own(folder: Path) -> _own.Found:
    """What a study wrote in `folder`; raises InputError where something else has a name that a study needs."""
    found = _own.look(folder)
    if found.foreign:
        more = f" (and {len(found.foreign) - 1} more)" if len(found.foreign) > 1 else ""
        raise InputError(
            f"{folder / found.foreign[0]}{more} is not as a study of trimwatt leaves it, so nothing was touched; "
            "move it away, or choose another folder with -o"
        )
    if not found.own and any(not path.name.startswith(_PASSING) for path in folder.iterdir()):
        raise InputError(f"{folder} is not a study of trimwatt and was not touched; choose another folder with -o")
    return found


def check_kept(folder: Path) -> None:
    """Raise InputError where what is kept in `folder` is no study's, or nothing yet; opens nothing that is not ours."""
    check_beside(folder / FILE)
    if _own.is_begun(folder):
        raise nothing_measured(folder)
    if not _own.is_study(folder):
        raise InputError(
            f"{folder} is not a study of trimwatt and was not touched; give the folder that `trimwatt optimize` wrote"
        )


def nothing_measured(folder: Path) -> InputError:
    """What to say of a study without a trial."""
    return InputError(
        f"the study in {folder} was stopped before its baseline was measured, so there is nothing to report; the "
        "same optimize command with --resume starts it again"
    )


class _Held:
    """The writer's lock of a folder, taken at once."""

    def __init__(self, folder: Path) -> None:
        self.lock = folder_lock(folder)
        try:
            self.lock.hold()
        except InputError as error:
            if "another process" not in str(error):
                raise
            raise InputError(
                f"a study is running in {folder}; wait until it has ended, or choose another folder with -o"
            ) from error

    def close(self) -> None:
        self.lock.release()


class Place:
    """The folder of a study while it is made: as it was before until `settle`, the study's own from then on.

    lock: the writer's lock, held from beginning to end.
    """

    def __init__(self, folder: Path, resume: bool) -> None:
        self.folder, self.settled = folder, resume
        self._resume, self._fresh = resume, False
        self._aside: Path | None = None
        self._identity: tuple[int, int] | None = None

    def __enter__(self) -> Place:
        self._fresh = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._held = _Held(self.folder)
        self.lock = self._held.lock
        try:
            self._identity = _identity(self.folder)
            recover(self.folder)
            tidy(self.folder)
            if not self._resume and not self._fresh:
                self._aside = _set_aside(self.folder)
            self._make_room()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make_room(self) -> None:
        """Folders are made here and nowhere else, so that none comes back after the user removed it all."""
        (self.folder / "trials").mkdir(exist_ok=True)
        if os.path.lexists(self.folder / "work"):
            raise InputError(f"{self.folder / 'work'} holds files that no study wrote; move it away")
        (self.folder / "work").mkdir(mode=0o700)

    def check(self) -> None:
        """Raise InputError where the folder is no longer there, or another has its name."""
        if _identity(self.folder) != self._identity:
            raise InputError(
                f"{self.folder} was removed or replaced while the study ran, so nothing more is kept; start it again"
            )

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Where the block fails because the folder is gone, say that rather than what came of it."""
        try:
            yield
        except Exception:
            self.check()
            raise

    def settle(self) -> None:
        """The baseline is measured and kept: the new study stands, what it replaces may go."""
        self.settled = True
        if self._aside is not None:
            _discard(self._aside)

    def __exit__(self, *_: object) -> None:
        with _signals.held_back():
            try:
                if self._identity is not None and _identity(self.folder) == self._identity:
                    self._leave()
            finally:
                self._held.close()

    def _leave(self) -> None:
        tidy(self.folder)
        if not self.settled and self._fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif not self.settled:
            recover(self.folder)
        _prune(self.folder)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        stat = folder.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _set_aside(folder: Path) -> Path:
    """Move what the former study wrote out of the way, on the same disk, whatever else lies in the folder."""
    _refuse_running_elsewhere(folder)
    own = check_own(folder).own
    aside = Path(tempfile.mkdtemp(prefix=_FORMER, dir=folder))
    write_whole(aside / _STATE, "moving")
    _move(own, folder, aside)
    write_whole(aside / _STATE, "moved")
    return aside


def _refuse_running_elsewhere(folder: Path) -> None:
    """A study in a shared database may be written by another machine; raises InputError where it is."""
    if (folder / IDENTITY).is_file() and os.environ.get("TRIMWATT_STORE"):
        with contextlib.closing(open_store(folder)) as former:
            former.claim()


def _move(paths: Iterable[Path], start: Path, end: Path) -> None:
    for path in paths:
        (end / path).parent.mkdir(parents=True, exist_ok=True)
        (start / path).rename(end / path)
    _prune(start)


def _prune(folder: Path) -> None:
    """Remove the folders of a study that are empty now; empty ones of the user's stay."""
    tops = [folder / name for name in _BELOW if not (folder / name).is_symlink()]
    parts = [] if (folder / "artifact").is_symlink() else (folder / "artifact").rglob("*")
    below = [path for path in parts if path.is_dir() and not path.is_symlink()]
    for path in (*sorted(below, reverse=True), *_own.trial_folders(folder), *tops):
        with contextlib.suppress(OSError):
            path.rmdir()


def _waits(folder: Path) -> list[Path]:
    """Where a study waits that was being replaced when that run was killed."""
    return [p for p in sorted(folder.glob(f"{_FORMER}*")) if (p / _STATE).is_file() and not p.is_symlink()]


def _check_way_back(folder: Path, back: Iterable[Path]) -> None:
    """Raises InputError where what is put back would go through a link."""
    for path in back:
        for above in path.parents[:-1]:
            if (folder / above).is_symlink():
                raise InputError(f"{folder / above} is a link, so nothing was touched; move it away")


def recover(folder: Path) -> None:
    """Put a study back whose replacement was killed before it stood; to be called with the writer's lock held."""
    for replaced in folder.glob(f"{_REPLACED}*"):
        if not replaced.is_symlink():
            shutil.rmtree(replaced, ignore_errors=True)
    for aside in _waits(folder):
        back = [p.relative_to(aside) for p in aside.rglob("*") if p.is_file() and p != aside / _STATE]
        _check_way_back(folder, back)
        if (aside / _STATE).read_text(encoding="utf-8") == "moved":
            # what proves that it is a study goes last
            for path in reversed(_own.look(folder).own):
                (folder / path).unlink()
            _prune(folder)
            write_whole(aside / _STATE, "moving")
        _move(back, aside, folder)
        _discard(aside)


def _discard(aside: Path) -> None:
    """Delete in two steps: what was renamed is never taken for a study to put back."""
    replaced = aside.with_name(aside.name.replace(_FORMER, _REPLACED))
    with _signals.held_back(), contextlib.suppress(OSError):
        aside.rename(replaced)
        shutil.rmtree(replaced, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Take away what only this run could read; files of the user's stay."""
    for path in _own.objects(folder):
        with contextlib.suppress(OSError):
            path.unlink()
    with contextlib.suppress(OSError):
        (folder / "work").rmdir()


def tidy_stopped(folder: Path) -> bool:
    """Tidy after a run that was killed; False, with nothing touched, while a study runs here.

    A folder that nothing in it proves to be a study's is left as it is.
    """
    if not _own.is_study(folder) and not _waits(folder):
        return True
    try:
        held = _Held(folder)
    except InputError as error:
        return "is running" not in str(error)
    with contextlib.closing(held):
        recover(folder)
        tidy(folder)
    return True


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Written beside, then renamed: a reader never sees half of it."""
    write_whole(path, json.dumps(value, indent=1, default=str, allow_nan=False))
