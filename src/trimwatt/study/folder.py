"""The folder of a study: never overwritten unasked, never half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from trimwatt.errors import InputError

# a study is kept in the one, or the other says which it is in a shared database
_DATABASES = ("study.db", "study.id")


def choose(output: str | Path | None, data: Any, resume: bool, force: bool) -> Path:
    """Where the study goes; raises InputError for a folder that is there and was not meant."""
    name = Path(data).name.split(".")[0].split(":")[0] if isinstance(data, (str, Path)) else "study"
    folder = Path(output) if output is not None else Path(f"trimwatt-{name}")
    if folder.exists() and not resume and not force:
        raise InputError(
            f"{folder} is there already; add --force to replace it, --resume to go on with it, or -o another"
        )
    if folder.exists() and force and not resume and not _ours(folder):
        raise InputError(f"{folder} is not a study of trimwatt and was not touched; choose another folder with -o")
    if resume and not any((folder / name).exists() for name in _DATABASES):
        raise InputError(f"there is no study in {folder} to go on with; leave out --resume to start one")
    return folder


def _ours(folder: Path) -> bool:
    known = (*_DATABASES, "study.json")
    return folder.is_dir() and (not any(folder.iterdir()) or any((folder / name).exists() for name in known))


class Place:
    """The folder of a study while it is made: as it was before until `settle`, the study's own from then on."""

    def __init__(self, folder: Path, resume: bool) -> None:
        self.folder, self.resume = folder, resume
        self.aside = folder.with_name(f".{folder.name}.before")
        self.settled = resume

    def __enter__(self) -> Place:
        if self.folder.exists() and not self.resume:
            shutil.rmtree(self.aside, ignore_errors=True)
            self.folder.rename(self.aside)
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def settle(self) -> None:
        """The baseline is measured and kept: the new study stands, what it replaces may go."""
        self.settled = True
        shutil.rmtree(self.aside, ignore_errors=True)

    def __exit__(self, *_: object) -> None:
        if not self.settled:
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.aside.exists():
                self.aside.rename(self.folder)


def tidy(folder: Path) -> None:
    """Take away what only this run could read."""
    shutil.rmtree(folder / "work", ignore_errors=True)
    for path in folder.rglob("live.bin"):
        path.unlink(missing_ok=True)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Written beside, then renamed: a reader never sees half of it."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(value, indent=1, default=str, allow_nan=False), encoding="utf-8")
    beside.replace(path)
