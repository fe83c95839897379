"""Opening a database so that a commit lasts and a transaction is one."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from trimwatt.errors import InputError, MissingExtra, first_line
from trimwatt.store._base import Busy
from trimwatt.store._beside import check_beside

T = TypeVar("T")
# so long is waited for another process that holds the database; a copy or a check of it takes seconds
PATIENCE_S = 60.0
_BUSY_S, _PAUSE_S = 1.0, 0.2
_BUSY_SQLITE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# lock_not_available, deadlock_detected, serialization_failure
_BUSY_SERVER = ("55P03", "40P01", "40001")

# psycopg's log would put lines beside ours on stderr where a server goes away
logging.getLogger("psycopg").addHandler(logging.NullHandler())


def connect(where: str | Path) -> sa.Engine:
    """An engine for a URL or a SQLite file.

    Raises InputError for what is no database URL, and for a file that has something dangerous beside it; MissingExtra
    where its driver is not installed.
    """
    if isinstance(where, Path):
        check_beside(where)
    try:
        url = sa.URL.create("sqlite", database=str(where)) if isinstance(where, Path) else sa.make_url(where)
        engine = sa.create_engine(url)
    except (ArgumentError, NoSuchModuleError) as error:
        raise InputError(
            "TRIMWATT_STORE is not the URL of a database known here; "
            "write it like sqlite:////folder/studies.db or postgresql://user@host/studies"
        ) from error
    except ModuleNotFoundError as error:
        package = "trimwatt[postgresql]" if error.name == "psycopg" else error.name
        raise MissingExtra(
            f"a store on this server needs {error.name}, which is not installed; run: pip install '{package}'"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    # left alone, the driver begins transactions late, and none for a change of schema
    connection.isolation_level = None
    # SQLite's own waiting is deaf to Ctrl-C; the longer wait is `patiently`'s
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_S * 1000:.0f}")
    # readers go on while the study writes; FULL also outlives a power cut, for one flush to disk a trial
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("trimwatt_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def place(url: sa.URL) -> str:
    """Where a database is, for people: its file, or its URL without the password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    return url.render_as_string(hide_password=True)


@contextlib.contextmanager
def plain_errors(url: sa.URL) -> Iterator[None]:
    """Turn what a database says into one line that names it; a key that is taken is the caller's to explain."""
    try:
        yield
    except IntegrityError:
        raise
    except SQLAlchemyError as error:
        if is_busy(error):
            raise Busy(
                f"the database {place(url)} is locked by another process; end that process, then add --resume"
            ) from error
        cause = first_line(getattr(error, "orig", None) or error)
        remedy = "check its folder, or move it away and start the study anew"
        if url.get_backend_name() != "sqlite":
            remedy = "check TRIMWATT_STORE, or unset it to use a file"
        raise InputError(f"the database {place(url)} cannot be used: {cause}; {remedy}") from error


def patiently(work: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """The result of `work`, tried again while another process holds the database, for `patience_s` seconds at most."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return work()
        except Busy:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE_S)


def is_busy(error: SQLAlchemyError) -> bool:
    """Whether another process merely holds what we need."""
    cause: Any = getattr(error, "orig", None)
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        # the low byte is the kind, the others say more
        return int(code) & 0xFF in _BUSY_SQLITE
    return getattr(cause, "sqlstate", None) in _BUSY_SERVER
