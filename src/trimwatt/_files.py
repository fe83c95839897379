"""Files written whole or not at all, and never through a link that somebody else put there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_SEAL = "<!-- written by trimwatt, sha256:"


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write `content` beside `path`, then rename it over: a reader never sees half of it. Returns `path`.

    A link at `path` is replaced, not followed; the name beside it is new and ours alone.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replaced(path) as beside:
        beside.write_bytes(data)
    return path


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A new empty file beside `path` to write to, which takes its place where the block ends without an error."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    beside = Path(name)
    try:
        # mkstemp makes a private file; what we write is as readable as any other of the user's files
        os.chmod(descriptor, 0o666 & ~_umask())
        os.close(descriptor)
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_new(path: Path, content: str) -> bool:
    """Write `path` where nothing stands there, not even a broken link; False where something does."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def write_private(path: Path, data: bytes) -> None:
    """Write `path` so that only this user can read it; what stood there goes."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def seal(text: str) -> str:
    """Markdown with a comment at its end, by which `is_sealed` knows it again."""
    return f"{text}\n{_SEAL}{_digest(text)} -->\n"


def is_sealed(text: str) -> bool:
    """Whether `seal` gave this text, and nobody changed it since."""
    content, found, end = text.rpartition(f"\n{_SEAL}")
    return bool(found) and end == f"{_digest(content)} -->\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
