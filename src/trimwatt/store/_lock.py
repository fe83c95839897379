"""One writer for a SQLite study: a lock that the system drops when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from trimwatt.errors import InputError


class WriterLock:
    """Held from the first write to `release`; other stores may still read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def hold(self) -> None:
        """Take the lock, once; raises InputError where another store writes."""
        if self._fd is None:
            self._fd = _take(self._path)

    def release(self) -> None:
        """Give the lock back and remove its file."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._fd)
            self._fd = None


def _take(path: Path) -> int:
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(f"{path.stem} cannot be written to: {error.strerror}; check its folder") from error
        if not _locked(fd):
            os.close(fd)
            raise InputError(f"another process is writing to {path.stem}; wait until it has ended, then run again")
        # the holder before us may have removed the file between our opening and our locking it
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: the unique keys of the trials are the only guard
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
