"""A study that was stopped before it wrote study.json: what its database kept."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from trimwatt.errors import InputError


def read(folder: Path) -> dict[str, Any] | None:
    """What the study in `folder` kept, in the form of study.json but without a verdict; None where there is none.

    What a killed run left behind is tidied. Raises InputError where no trial was kept, where the database is
    another program's, and where it, a server perhaps, cannot be read.
    """
    from trimwatt.study import folder as folders

    if not folder.is_dir():
        return None
    running = not folders.tidy_stopped(folder)
    from trimwatt.study import stopped

    if not stopped.is_kept(folder):
        return None
    folders.check_kept(folder)
    from trimwatt.store import open_store
    from trimwatt.study.summary import plain

    with contextlib.closing(open_store(folder)) as store:
        study = stopped.read(store)
    if study is None and running:
        raise InputError(f"the study in {folder} is running and has measured nothing yet; ask again later")
    if study is None:
        raise folders.nothing_measured(folder)
    if running:
        study["warnings"] = [text.replace("was stopped", "is still running") for text in study["warnings"]]
    found: dict[str, Any] = plain(study)
    return found
