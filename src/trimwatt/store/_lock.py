"""One writer for a study: a lock that the system, or the server, drops when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trimwatt.errors import InputError

if TYPE_CHECKING:
    import sqlalchemy as sa


# a server takes a moment to notice that a writer has gone, and to drop its lock
_GONE_S = 1.0


class Lock(Protocol):
    """Held from `hold` to `release`; other stores may still read."""

    def hold(self) -> None:
        """Take the lock, once; raises InputError where another store writes."""
        ...

    def release(self) -> None:
        """Give the lock back; a second call changes nothing."""
        ...


def folder_lock(folder: Path) -> Lock:
    """The lock of the study in `folder`, which its writer holds whatever database it is kept in."""
    return WriterLock(folder / "study.db.lock")


class WriterLock:
    """A lock in a file, which is there while it is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def hold(self) -> None:
        """See `Lock`."""
        if self._fd is None:
            self._fd = _take(self._path)

    def release(self) -> None:
        """See `Lock`; the file goes too."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(self._fd), self._path.lstat()):
                    self._path.unlink()
            os.close(self._fd)
            self._fd = None


def _take(path: Path) -> int:
    while True:
        try:
            # a link to somewhere else is no lock of ours
            fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
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


class ServerLock:
    """An advisory lock of a PostgreSQL server, on the id of a study.

    The server drops it with the connection that took it, so what the holder writes goes through `connection`.
    """

    def __init__(self, engine: sa.Engine, study: str) -> None:
        self._engine, self._study = engine, study
        self.connection: sa.Connection | None = None

    def hold(self) -> None:
        """See `Lock`; taken again where the connection was lost."""
        if self.connection is not None and not self.connection.closed and not self.connection.invalidated:
            return
        self.release()
        connection = self._engine.connect()
        try:
            deadline = time.monotonic() + _GONE_S
            while not (taken := _ask(connection, "pg_try_advisory_lock", self._study)) and time.monotonic() < deadline:
                time.sleep(0.05)
            if not taken:
                raise InputError(
                    f"another process is writing to the study {self._study} of this database; wait until it has ended, "
                    "then run again"
                )
        except BaseException:
            connection.close()
            raise
        self.connection = connection

    def release(self) -> None:
        """See `Lock`."""
        from sqlalchemy.exc import SQLAlchemyError

        connection, self.connection = self.connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                _ask(connection, "pg_advisory_unlock", self._study)
            with contextlib.suppress(SQLAlchemyError):
                # whatever came of that: back in the pool the connection would keep the lock
                connection.invalidate()
                connection.close()


def _ask(connection: sa.Connection, function: str, study: str) -> bool:
    """What an advisory function says of the study's lock, which the connection keeps beyond the transaction."""
    import sqlalchemy as sa

    digest = hashlib.sha256(f"trimwatt study {study}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    with connection.begin():
        return bool(connection.scalar(sa.select(getattr(sa.func, function)(sa.bindparam("key", key, sa.BigInteger)))))
