"""Live objects between the processes of one run.

An object is written by one process of the study and read by another, within the same run and in the
study's own folder. The reader must hold the digest, which never touches the disk: a file that somebody
else put there is refused before a byte of it is interpreted.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trimwatt import _portable
from trimwatt._files import write_private
from trimwatt.errors import InputError, TrimwattError, first_line

_DEPTH = 6
# what each file begins with, so that one left behind is told from a file of the user's with such a name
_MARK = b"an object of trimwatt, for the run that wrote it\n"


def write(value: Any, path: Path) -> str:
    """Write `value` to `path`, for this user alone, and return its sha256, to be kept in memory only.

    Raises InputError, naming the attribute, where something in it cannot leave this process.
    """
    try:
        data = _MARK + dump(value)
    except Exception as error:  # pickle passes on whatever an object's own methods raise
        raise InputError(refuse(value, error)) from error
    write_private(path, data)
    return hashlib.sha256(data).hexdigest()


def read(path: Path, digest: str) -> Any:
    """Read what `write` wrote; raises TrimwattError if the bytes are not those of `digest`."""
    import pickle

    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise TrimwattError(f"{path.name} is not what this run wrote; it was not loaded")
    return pickle.loads(data.removeprefix(_MARK))  # noqa: S301 - written by this run, checked above


def is_ours(path: Path) -> bool:
    """Whether `write` wrote the file, or was killed over it."""
    with path.open("rb") as file:
        start = file.read(len(_MARK))
    return start == _MARK or (_MARK.startswith(start) and path.stat().st_size == len(start))


def dump(value: Any) -> bytes:
    """`value` as bytes for `read` in another process."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, item: Any) -> Any:
            found = _portable.replacement(item)
            return super().reducer_override(item) if found is NotImplemented else found

    file = io.BytesIO()
    Pickler(file).dump(value)
    return file.getvalue()


def refuse(value: Any, error: Exception) -> str:
    """In one line why `value` cannot be handed to another process, and what to do."""
    why = first_line(error, 120)
    place = _culprit(value)
    where = f", which holds {place}" if place else ""
    return (
        f"the model is trained and measured in processes of its own, and cannot be handed to them{where}: {why}; "
        "take that out of it, or let package.module:callable build a model without it"
    )


def _culprit(value: Any) -> str:
    """The deepest attribute that cannot be written, as a path such as model.head.log."""
    path: list[str] = []
    for _ in range(_DEPTH):
        found = next(((name, part) for name, part in _parts(value) if not _writable(part)), None)
        if found is None:
            break
        path.append(found[0])
        value = found[1]
    return ".".join(path)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((str(key), part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(i), part) for i, part in enumerate(value))
    else:
        state = getattr(value, "__dict__", {})
        # what a network keeps its inner modules in is an attribute of its own, whose name tells nobody anything
        modules = state.get("_modules")
        yield from modules.items() if isinstance(modules, dict) else ()
        yield from ((name, part) for name, part in state.items() if name != "_modules")


def _writable(value: Any) -> bool:
    try:
        dump(value)
    except Exception:  # whatever it was, it is what is looked for
        return False
    return True
