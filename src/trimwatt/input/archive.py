"""Files in a folder or a zip, by relative path; nothing of a zip is ever written to disk."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from trimwatt.errors import InputError
from trimwatt.input.checks import check_fits, shown

Files = dict[str, Callable[[], bytes]]
_MOST_FILES = 1_000_000
_MOST_RATIO = 200
_HARMLESS_BYTES = 64 * 2**20


@contextmanager
def opened(path: Path) -> Iterator[Files]:
    """How to read each file below `path` (or `path` itself), in sorted order; hidden files are left out.

    Raises InputError for a zip that climbs out of its folder, unfolds without end, or is encrypted or damaged.
    """
    if path.is_dir() or path.suffix.lower() != ".zip":
        yield _in_folder(path) if path.is_dir() else {path.name: path.read_bytes}
        return
    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty; a zip of class folders of images is allowed")
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises many kinds on damaged bytes
        raise InputError(f"{path.name} is not a readable zip ({shown(str(error))}); make it again") from error
    with archive:
        yield _in_zip(archive, path.name)


def _in_folder(root: Path) -> Files:
    found: Files = {}
    seen: set[str] = set()
    for folder, inner, names in os.walk(root, followlinks=True):
        # linked class folders are common; a link back to a parent must not loop
        real = os.path.realpath(folder)
        inner[:] = sorted(name for name in inner if not _hidden(name) and real not in seen)
        seen.add(real)
        for name in names:
            file = Path(folder) / name
            if not _hidden(name) and file.is_file():
                found[file.relative_to(root).as_posix()] = file.read_bytes
        _check_count(len(found), root.name)
    return dict(sorted(found.items()))


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _check_count(files: int, name: str) -> None:
    if files > _MOST_FILES:
        raise InputError(f"{name} holds more than {_MOST_FILES:,} files; give fewer")


def _in_zip(archive: zipfile.ZipFile, name: str) -> Files:
    members = archive.infolist()
    _check_count(len(members), name)
    for member in members:
        _check_member(member, name)
    _check_unfolding(members, name)
    found = {
        member.filename.replace("\\", "/"): partial(_read, archive, member, name)
        for member in members
        if not member.is_dir() and not any(_hidden(part) for part in PurePosixPath(member.filename).parts)
    }
    return dict(sorted(found.items()))


def _check_member(member: zipfile.ZipInfo, name: str) -> None:
    path = member.filename.replace("\\", "/")
    if not path:
        raise InputError(f"{name} holds a file without a name; zip the images anew")
    if path.startswith("/") or ".." in path.split("/") or path[1:2] == ":":
        raise InputError(
            f"{name}: {shown(path)} climbs out of its folder; only paths below it are allowed; zip it anew"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(
            f"{name}: {shown(path)} is a link; only files and folders are allowed; zip the files themselves"
        )
    if member.flag_bits & 1:
        raise InputError(f"{name}: {shown(path)} is encrypted; zip the files without a password")


def _check_unfolding(members: list[zipfile.ZipInfo], name: str) -> None:
    unfolded = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if unfolded > _HARMLESS_BYTES and unfolded > _MOST_RATIO * packed:
        raise InputError(
            f"{name} unfolds {packed / 2**20:,.1f} MiB to {unfolded / 2**20:,.0f} MiB, more than {_MOST_RATIO} times, "
            "as no folder of images does; zip the images anew"
        )
    check_fits(unfolded, name)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> bytes:
    try:
        return archive.read(member)
    except Exception as error:
        raise InputError(f"{name}: {shown(member.filename)} is damaged ({shown(str(error))}); zip it anew") from error
