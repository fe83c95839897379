"""Where a study keeps what it found: one database, a commit for each trial."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from trimwatt._files import write_new
from trimwatt.errors import InputError
from trimwatt.store._base import FILE, IDENTITY, Busy, Store
from trimwatt.store._lock import Lock, folder_lock

__all__ = ["Busy", "Lock", "Store", "database", "folder_lock", "open_store"]


def database(folder: Path) -> str | Path:
    """Where the study in `folder` is kept: where it is already, else the URL in TRIMWATT_STORE, else `study.db`.

    Raises InputError for a study of a shared database that nothing names.
    """
    file, url = folder / FILE, os.environ.get("TRIMWATT_STORE")
    if (folder / IDENTITY).exists():
        if not url:
            raise InputError(
                f"the study in {folder} is kept in a shared database (it has a {IDENTITY}), and none is named; set "
                "TRIMWATT_STORE to its URL, as it was when the study was started"
            )
        return url
    return file if file.exists() or not url else url


def open_store(folder: Path, url: str | None = None, study: str | None = None, lock: Lock | None = None) -> Store:
    """The store of the study whose output goes to the existing `folder`.

    url: a database URL; None takes what `database` says. study: the study's id in a database that many studies share;
    None takes the one that the folder remembers. lock: `folder_lock(folder)` where the caller holds it; it stays held
    when the store is closed. Raises InputError where the database cannot be used.
    """
    from trimwatt.store.sql import SqlStore

    chosen = url or database(folder)
    if isinstance(chosen, Path):
        return SqlStore(chosen, study or "study", lock)
    return SqlStore(chosen, study or _identity(folder))


def _identity(folder: Path) -> str:
    """The id under which a shared database knows this folder's study: drawn once, kept in `study.id`."""
    path = folder / IDENTITY
    write_new(path, uuid.uuid4().hex + "\n")
    known = path.read_text(encoding="utf-8").strip()
    if not known:
        raise InputError(f"{path} is empty, so it is unknown which study of the shared database this is; restore it")
    return known
