"""Opening a database so that a commit lasts and a transaction is one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from trimwatt.errors import InputError, MissingExtra


def connect(where: str | Path) -> sa.Engine:
    """An engine for a URL or a SQLite file.

    Raises InputError for what is no database URL, MissingExtra where its driver is not installed.
    """
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
    connection.execute("PRAGMA busy_timeout = 10000")
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
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        remedy = "check its folder, or move it away and start the study anew"
        if url.get_backend_name() != "sqlite":
            remedy = "check TRIMWATT_STORE, or unset it to use a file"
        raise InputError(f"the database {place(url)} cannot be used: {cause}; {remedy}") from error
