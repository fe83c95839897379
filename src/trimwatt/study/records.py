"""Trials and their artifacts as a database kept them, which may have come from elsewhere.

Ids become names of folders and names become files, so both are checked. An artifact that can run code is opened again
only where this user's key sealed it; any other is made again, or left out.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from trimwatt import _reading
from trimwatt import runtime as runtimes
from trimwatt.errors import InputError
from trimwatt.runtime._base import Artifact
from trimwatt.runtime.signature import is_valid, sign
from trimwatt.store._base import Store
from trimwatt.trial import Trial

_ID, _DIGEST = re.compile(r"t[0-9]{2,9}"), re.compile(r"[0-9a-f]{64}")


def trials(store: Store) -> list[Trial]:
    """The trials that a study kept; raises InputError where one is none, or its id no id of ours."""
    kept = []
    for data in store.trials():
        try:
            trial = Trial.from_dict(data)
            checked = _ID.fullmatch(trial.id) is not None and isinstance(trial.runtime, str)
        except (TypeError, AttributeError, ValueError) as error:
            raise InputError(f"the study's database holds a trial that this version cannot read ({error})") from error
        if not checked:
            raise InputError(f"the study's database holds a trial with the id {trial.id!r}; ids are t00, t01 and so on")
        kept.append(trial)
    return kept


def keep(store: Store, trial: Trial, artifact: Artifact) -> None:
    """Write down which files an artifact has, with their digests, sealed where opening them can run code."""
    files = {name: hashlib.sha256(artifact.content(name)).hexdigest() for name in artifact.files}
    seal = sign(_sealed(trial, files)) if runtimes.needs_trust(artifact.runtime) else None
    store.set(f"files:{trial.id}", {"files": files, "seal": seal})


def files(store: Store, trial: Trial) -> dict[str, str] | None:
    """The files of a trial's artifact and their digests; None where there are none that may be opened."""
    kept = store.get(f"files:{trial.id}")
    found = kept.get("files") if isinstance(kept, dict) else None
    if not isinstance(found, dict) or not found or not all(_is_digest(value) for value in found.values()):
        return None
    for name in found:
        _reading.inside(Path(), name)
    if trial.runtime not in runtimes.names():
        return None
    if runtimes.needs_trust(trial.runtime) and not is_valid(_sealed(trial, found), kept.get("seal")):
        return None
    return found


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _sealed(trial: Trial, files: dict[str, str]) -> dict[str, Any]:
    return {"trial": trial.key, "runtime": trial.runtime, "files": files}
