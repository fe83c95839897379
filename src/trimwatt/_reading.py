"""Reading files of folders that may come from elsewhere: only inside the folder, and never through a link."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from trimwatt.errors import InputError

# Windows has none of them; there a link is looked for by name
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_BINARY = getattr(os, "O_BINARY", 0)


def inside(folder: Path, name: str) -> Path:
    """The path of file `name` in `folder`; raises InputError for a name that would lead out of it."""
    path = PurePosixPath(name)
    climbs = path.is_absolute() or ".." in path.parts or any(sign in name for sign in "\\:\0")
    if not path.parts or climbs or len(name) > 255:
        raise InputError(
            f"the artifact names the file {name[:60]!r}, which does not stay inside its folder; it was not opened"
        )
    return folder / name


def read(folder: Path, name: str) -> bytes:
    """The content of file `name` in `folder`; raises InputError where it is missing, a link, or no regular file."""
    path = inside(folder, name)
    try:
        return read_plain(path, folder)
    except OSError as error:
        raise InputError(f"{folder} lacks the file {name!r} that its manifest names; copy the whole folder") from error


def read_plain(path: Path, folder: Path | None = None) -> bytes:
    """The content of a regular file that no link leads to, from `folder` on; raises OSError for anything else."""
    between = [] if folder is None else path.parents[: len(path.relative_to(folder).parts) - 1]
    if any(place.is_symlink() for place in (path, *between)):
        raise OSError(f"{path} is reached by a link")
    with open(os.open(path, os.O_RDONLY | _SAFE | _BINARY), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no regular file")
        return file.read()
