"""Where a study keeps what it found: one database, a commit for each trial."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from trimwatt.errors import InputError
from trimwatt.store._base import Store

__all__ = ["Store", "database", "open_store"]


def database(folder: Path) -> str | Path:
    """Where the study in `folder` is kept: the URL in TRIMWATT_STORE, or the SQLite file `study.db` inside it."""
    return os.environ.get("TRIMWATT_STORE") or folder / "study.db"


def open_store(folder: Path, url: str | None = None, study: str | None = None) -> Store:
    """The store of the study whose output goes to the existing `folder`.

    url: a database URL; None takes what `database` says. study: the study's id in a database that many studies share;
    None takes the one that the folder remembers. Raises InputError where the database cannot be used.
    """
    from trimwatt.store.sql import SqlStore

    chosen = url or database(folder)
    return SqlStore(chosen, study or ("study" if isinstance(chosen, Path) else _identity(folder)))


def _identity(folder: Path) -> str:
    """The id under which a shared database knows this folder's study: drawn once, kept in `study.id`."""
    path = folder / "study.id"
    if not path.exists():
        path.write_text(uuid.uuid4().hex + "\n", encoding="utf-8")
    known = path.read_text(encoding="utf-8").strip()
    if not known:
        raise InputError(f"{path} is empty, so it is unknown which study of the shared database this is; restore it")
    return known
