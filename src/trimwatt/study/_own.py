"""What in a folder a study wrote: told by content, since anybody may call a file study.json.

Nothing in `trials/`, `artifact/` or `work/` is ours unless a file beside them proves a study.
Links are never ours. Of what is not ours, only that is in the way whose name a study needs; the rest is left alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from trimwatt import _files, _handoff
from trimwatt.errors import InputError
from trimwatt.store._beside import check_beside

_TRIAL, _WORK = (
    re.compile(r"t\d{2,}(-again)?"),
    re.compile(r"((base|[0-9a-f]{8,})(all|every|fold\d)?|search-[a-z]+)\.bin"),
)
# what a run leaves that was killed while it wrote: names with our own marks in them
_HALF_FILE = re.compile(r"\.(study\.json|report\.html)\.\w+\.part|study\.json\.part")
_HALF_ARTIFACT = re.compile(r"\.artifact\.\d+(\.old)?")
_BEGINNINGS = {
    ".npy": (b"\x93NUMPY",), ".skops": (b"PK",), ".pt": (b"PK",), ".onnx": (b"\x08",), ".xml": (b"<?xml",),
    ".json": (b"{", b"["),
}  # fmt: skip
_IN_TRIAL = re.compile(
    r"(model\.\w+|validation\.npy|live\.bin|weights\.safetensors|rule\.json|prepare\.onnx|(labels|columns)\.json)"
    r"(\.part)?"
)


@dataclass(frozen=True)
class Found:
    """own: files that a study wrote, as paths below the folder. foreign: names it needs that hold something else."""

    own: tuple[Path, ...]
    foreign: tuple[str, ...]


def look(folder: Path) -> Found:
    """What in `folder` is a study's, and what stands in the way of one."""
    own, foreign = [], []
    for path, is_ours in _candidates(folder):
        if is_ours and path.is_file() and not path.is_symlink():
            own.append(path.relative_to(folder))
        else:
            foreign.append(path.relative_to(folder).as_posix())
    return Found(tuple(own), tuple(foreign))


def is_study(folder: Path) -> bool:
    """Whether a file in `folder` proves, by its content, that a study was made there."""
    return any(_recognised(folder / name, proves) for name, proves in {**_FILES, "study.db": _has_our_tables}.items())


def is_begun(folder: Path) -> bool:
    """Whether the database in `folder` is one that a run was killed over before it wrote anything."""
    return _recognised(folder / "study.db", _is_database) and not is_study(folder)


def trial_folders(folder: Path) -> list[Path]:
    """The folders of trials, by our pattern of ids and through no link."""
    trials = folder / "trials"
    found = [] if trials.is_symlink() else sorted(trials.glob("t*"))
    return [path for path in found if _TRIAL.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]


def objects(folder: Path) -> Iterator[Path]:
    """What a run keeps for itself alone: objects in `work/`, and one in each trial's folder."""
    work = folder / "work"
    found = [] if work.is_symlink() else [path for path in work.glob("*.bin") if _WORK.fullmatch(path.name)]
    found += [trial / "live.bin" for trial in trial_folders(folder)]
    yield from (path for path in found if _recognised(path, _handoff.is_ours))


def is_report(path: Path) -> bool:
    """Whether a page is the report of a study."""
    content = path.read_bytes()
    return b'<script type="application/json" id="study">' in content and b"trimwatt/study/" in content


def _candidates(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Whatever has a name that a study uses, and whether its content is a study's."""
    for name, recognise in _FILES.items():
        path = folder / name
        if os.path.lexists(path):
            ours = _recognised(path, recognise)
            yield path, ours
            if ours and name == "study.db":
                yield from ((p, True) for end in ("-wal", "-shm", "-journal") if (p := folder / (name + end)).exists())
    proven = is_study(folder)
    for name, contents in (("trials", _trials), ("artifact", _artifact), ("work", _work)):
        path = folder / name
        if path.is_symlink() or path.is_file():
            yield path, False
        elif path.is_dir():
            yield from ((found, ours and proven) for found, ours in contents(path))
    for path in folder.iterdir() if proven else ():
        if _HALF_FILE.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            yield path, True
        elif _HALF_ARTIFACT.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield from ((file, True) for file in path.iterdir() if _in_half(file))


def _in_half(path: Path) -> bool:
    """Whether a file of an artifact that was being written is its own; it may have taken the user's along."""
    known = path.name in ("manifest.json", "README.md") or _IN_TRIAL.fullmatch(path.name)
    return bool(known) and path.is_file() and not path.is_symlink()


def _recognised(path: Path, recognise: Callable[[Path], bool]) -> bool:
    try:
        return not path.is_symlink() and path.is_file() and recognise(path)
    except (OSError, ValueError, RecursionError, sqlite3.Error, InputError):
        return False


def _is_study(path: Path) -> bool:
    return _schema(path).startswith("trimwatt/study/")


def _schema(path: Path) -> str:
    found: Any = json.loads(path.read_text(encoding="utf-8"))
    return str(found.get("schema")) if isinstance(found, dict) else ""


def _is_database(path: Path) -> bool:
    """A SQLite file with our tables, or one that a run was killed over before it wrote any."""
    return path.stat().st_size == 0 or not (names := _tables(path)) or "trimwatt_schema" in names


def _has_our_tables(path: Path) -> bool:
    return "trimwatt_schema" in _tables(path)


def _tables(path: Path) -> set[str]:
    check_beside(path)
    # with nothing to read beside it, reading must leave nothing there either
    if not path.with_name(f"{path.name}-wal").exists():
        return _read_tables(path, "immutable=1")
    try:
        return _read_tables(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if (error.sqlite_errorcode & 0xFF) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        # whoever holds the database, what it has written by now says whose it is
        return _read_tables(path, "immutable=1")


def _read_tables(path: Path, how: str) -> set[str]:
    uri = f"file:{quote(str(path.absolute()))}?{how}"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def _is_identity(path: Path) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}\n?", path.read_text(encoding="ascii")) is not None


_FILES: dict[str, Callable[[Path], bool]] = {
    "study.json": _is_study, "study.db": _is_database, "study.id": _is_identity, "report.html": is_report,
}  # fmt: skip


def _trials(trials: Path) -> Iterator[tuple[Path, bool]]:
    """Files of the trials; a link among them, or a file with one of our names and other content, is in the way."""
    for trial in sorted(trials.iterdir()):
        if not _TRIAL.fullmatch(trial.name):
            continue
        if trial.is_symlink() or not trial.is_dir():
            yield trial, False
            continue
        for path in sorted(trial.iterdir()):
            if path.is_symlink():
                yield path, False
            elif _IN_TRIAL.fullmatch(path.name):
                begins_right = _handoff.is_ours if path.name == "live.bin" else _begins_right
                yield path, _recognised(path, begins_right)


def _begins_right(path: Path) -> bool:
    """Whether a file begins as its kind does; one that is empty was being written."""
    with path.open("rb") as file:
        start = file.read(8)
    return not start or start.startswith(_BEGINNINGS.get(path.suffix, (b"",)))


def _artifact(artifact: Path) -> Iterator[tuple[Path, bool]]:
    """The files that a manifest of ours lists, with the content it lists, and the model card as we wrote it."""
    manifest = artifact / "manifest.json"
    if not _recognised(manifest, lambda path: _schema(path).startswith("trimwatt/artifact/")):
        if any(artifact.iterdir()):
            yield artifact, False
        return
    yield manifest, True
    listed = json.loads(manifest.read_text(encoding="utf-8")).get("files")
    names = {name for name in listed if _stays_inside(name)} if isinstance(listed, dict) else set()
    for name in sorted(names):
        if os.path.lexists(artifact / name):
            yield artifact / name, _is_listed(artifact, name, listed[name])
    for path in sorted(artifact.iterdir()):
        if path.name == "README.md":
            yield path, _recognised(path, lambda card: _files.is_sealed(card.read_text(encoding="utf-8")))
        elif path.name not in names and _IN_TRIAL.fullmatch(path.name):
            yield path, False


def _is_listed(artifact: Path, name: str, digest: Any) -> bool:
    """Whether a file is the one whose digest the manifest holds, reached through no link."""
    path = artifact / name
    above = path.parents[: len(PurePosixPath(name).parts) - 1]
    return not any(folder.is_symlink() for folder in above) and _recognised(
        path, lambda file: hashlib.sha256(file.read_bytes()).hexdigest() == digest
    )


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _work(work: Path) -> Iterator[tuple[Path, bool]]:
    """Objects that only their own run could read."""
    for path in sorted(work.iterdir()):
        yield path, _WORK.fullmatch(path.name) is not None and _recognised(path, _handoff.is_ours)
