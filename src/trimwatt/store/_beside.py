"""What lies beside a study's SQLite file: SQLite acts on it when it opens the file, outside the folder too.

A rollback journal may name another file, which SQLite then deletes, and through a link it writes to what that leads
to. A study leaves neither: it keeps its database in WAL mode.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from trimwatt.errors import InputError

# a new database has such a journal while it is put into WAL mode
_MOMENT_S = 1.0


def check_beside(file: Path) -> None:
    """Raise InputError where opening the SQLite database `file` could reach beyond it; opens nothing."""
    for end in ("", "-wal", "-shm", "-journal"):
        path = file.with_name(file.name + end)
        if path.is_symlink():
            raise InputError(f"{path} is a link, as no study leaves it, so the database was not opened; move it away")
    journal, deadline = file.with_name(f"{file.name}-journal"), time.monotonic() + _MOMENT_S
    while os.path.lexists(journal):
        if time.monotonic() >= deadline:
            raise InputError(f"{journal} is there, as no study leaves it, so the database was not opened; move it away")
        time.sleep(0.02)
