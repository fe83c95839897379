"""A store in any database that SQLAlchemy speaks to; SQLite and PostgreSQL are tested."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from trimwatt.errors import InputError
from trimwatt.recipe import digest
from trimwatt.store._base import Json
from trimwatt.store._engine import PATIENCE_S, connect, patiently, place, plain_errors
from trimwatt.store._lock import Lock, ServerLock, WriterLock
from trimwatt.store.migrations import migrate

T = TypeVar("T")


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns))


_STUDY = _table("trimwatt_study", "study", "meta")
_TRIAL = _table("trimwatt_trial", "id", "study", "key", "data")
_LEDGER = _table("trimwatt_ledger", "id", "study", "data")
_VALUE = _table("trimwatt_value", "study", "name", "value")


class SqlStore:
    """One study, `study`, in the database at `where`: a URL, or the path of a SQLite file.

    lock: the lock of its writer, where the caller lends it. patience_s: how long each call waits for another process
    that holds the database.
    """

    def __init__(self, where: str | Path, study: str = "study", lock: Lock | None = None) -> None:
        self._id, self.patience_s = study, PATIENCE_S
        self._engine = connect(where)
        self._lent = lock is not None
        self._lock = lock or _lock(self._engine, study)
        try:
            self._patiently(lambda: migrate(self._engine))
        except BaseException:
            self._engine.dispose()
            raise

    def claim(self) -> None:
        """See `Store`."""
        if self._lock is not None:
            with plain_errors(self._engine.url):
                self._lock.hold()

    def save_study(self, meta: Json) -> None:
        """See `Store`."""
        text = _text(meta)

        def write(connection: sa.Connection) -> None:
            connection.execute(sa.delete(_STUDY).where(_STUDY.c.study == self._id))
            connection.execute(sa.insert(_STUDY).values(study=self._id, meta=text))

        self._write(write)

    def study(self) -> Json | None:
        """See `Store`."""
        kept: Json | None = self._one(sa.select(_STUDY.c.meta).where(_STUDY.c.study == self._id))
        return kept

    def add_trial(self, trial: Json, entries: Sequence[Json] = ()) -> None:
        """See `Store`."""
        row = {"study": self._id, "key": trial["key"], "data": _text(trial)}
        booked = self._rows(entries)

        def write(connection: sa.Connection) -> None:
            connection.execute(sa.insert(_TRIAL).values(row))
            _insert(connection, booked)

        try:
            self._write(write)
        except IntegrityError as error:
            raise InputError(f"trial {trial['key']} is in this study already; it is not written twice") from error

    def trials(self) -> list[Json]:
        """See `Store`."""
        return self._all(_TRIAL)

    def add_entries(self, entries: Sequence[Json]) -> None:
        """See `Store`."""
        booked = self._rows(entries)
        self._write(lambda connection: _insert(connection, booked))

    def ledger(self) -> list[Json]:
        """See `Store`."""
        return self._all(_LEDGER)

    def set(self, name: str, value: Any) -> None:
        """See `Store`."""
        mine = sa.and_(_VALUE.c.study == self._id, _VALUE.c.name == name)
        text = _text(value)

        def write(connection: sa.Connection) -> None:
            connection.execute(sa.delete(_VALUE).where(mine))
            connection.execute(sa.insert(_VALUE).values(study=self._id, name=name, value=text))

        self._write(write)

    def get(self, name: str) -> Any:
        """See `Store`."""
        return self._one(sa.select(_VALUE.c.value).where(_VALUE.c.study == self._id, _VALUE.c.name == name))

    def close(self) -> None:
        """See `Store`."""
        if self._lock is not None and not self._lent:
            self._lock.release()
        self._engine.dispose()

    def _write(self, work: Callable[[sa.Connection], None]) -> None:
        """Do `work` in one transaction, as the only writer."""
        writing = self._engine.execution_options(trimwatt_writes=True)

        def once() -> None:
            self.claim()
            if isinstance(self._lock, ServerLock) and self._lock.connection is not None:
                with self._lock.connection.begin():
                    work(self._lock.connection)
                return
            with writing.begin() as connection:
                work(connection)

        self._patiently(once)

    def _patiently(self, work: Callable[[], T]) -> T:
        def once() -> T:
            with plain_errors(self._engine.url):
                return work()

        return patiently(once, self.patience_s)

    def _one(self, query: sa.Select[Any]) -> Any:
        def read() -> Any:
            with self._engine.begin() as connection:
                return connection.scalar(query)

        text = self._patiently(read)
        return None if text is None else self._parsed(text)

    def _all(self, table: sa.TableClause) -> list[Json]:
        query = sa.select(table.c.data).where(table.c.study == self._id).order_by(table.c.id)

        def read() -> list[str]:
            with self._engine.begin() as connection:
                return list(connection.scalars(query))

        return [self._parsed(text) for text in self._patiently(read)]

    def _parsed(self, text: Any) -> Any:
        """JSON as it was kept; raises InputError where the file was damaged, or written by somebody else."""
        try:
            return json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"the database {place(self._engine.url)} holds what no study wrote ({type(error).__name__}); move it "
                "away and start the study anew"
            ) from error

    def _rows(self, entries: Sequence[Json]) -> list[Json]:
        return [{"study": self._id, "data": _text(entry)} for entry in entries]


def _insert(connection: sa.Connection, rows: list[Json]) -> None:
    if rows:
        connection.execute(sa.insert(_LEDGER), rows)


def _lock(engine: sa.Engine, study: str) -> Lock | None:
    """A lock beside the SQLite file, or in the PostgreSQL server; None where there is neither."""
    url = engine.url
    if url.get_backend_name() == "postgresql":
        return ServerLock(engine, study)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    mark = "" if study == "study" else "." + digest(study)
    return WriterLock(Path(f"{url.database}{mark}.lock"))


def _text(value: Any) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # a numpy number or array
        return value.tolist()
    raise TypeError(f"a store keeps JSON, got {type(value).__name__}")
