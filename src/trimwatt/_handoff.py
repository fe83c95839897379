"""Live objects between the processes of one run.

An object is written by one process of the study and read by another, within the same run and in the
study's own folder. The reader must hold the digest, which never touches the disk: a file that somebody
else put there is refused before a byte of it is interpreted.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from trimwatt.errors import TrimwattError


def write(value: Any, path: Path) -> str:
    """Write `value` to `path` and return its sha256, to be kept in memory only."""
    import cloudpickle

    data: bytes = cloudpickle.dumps(value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def read(path: Path, digest: str) -> Any:
    """Read what `write` wrote; raises TrimwattError if the bytes are not those of `digest`."""
    import pickle

    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise TrimwattError(f"{path.name} is not what this run wrote; it was not loaded")
    return pickle.loads(data)  # noqa: S301 - written by this run, checked above
