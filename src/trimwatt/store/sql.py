"""A store in any database that SQLAlchemy speaks to; SQLite and PostgreSQL are tested."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from trimwatt.errors import InputError
from trimwatt.recipe import digest
from trimwatt.store._base import Json
from trimwatt.store._engine import connect, plain_errors
from trimwatt.store._lock import WriterLock
from trimwatt.store.migrations import migrate


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns))


_STUDY = _table("trimwatt_study", "study", "meta")
_TRIAL = _table("trimwatt_trial", "id", "study", "key", "data")
_LEDGER = _table("trimwatt_ledger", "id", "study", "data")
_VALUE = _table("trimwatt_value", "study", "name", "value")


class SqlStore:
    """One study, `study`, in the database at `where`: a URL, or the path of a SQLite file."""

    def __init__(self, where: str | Path, study: str = "study") -> None:
        self._id = study
        self._engine = connect(where)
        self._lock = _lock(self._engine.url, study)
        try:
            with plain_errors(self._engine.url):
                migrate(self._engine)
        except BaseException:
            self._engine.dispose()
            raise

    def save_study(self, meta: Json) -> None:
        """See `Store`."""
        with self._write() as connection:
            connection.execute(sa.delete(_STUDY).where(_STUDY.c.study == self._id))
            connection.execute(sa.insert(_STUDY).values(study=self._id, meta=_text(meta)))

    def study(self) -> Json | None:
        """See `Store`."""
        kept: Json | None = self._one(sa.select(_STUDY.c.meta).where(_STUDY.c.study == self._id))
        return kept

    def add_trial(self, trial: Json, entries: Sequence[Json] = ()) -> None:
        """See `Store`."""
        row = {"study": self._id, "key": trial["key"], "data": _text(trial)}
        booked = self._rows(entries)
        try:
            with self._write() as connection:
                connection.execute(sa.insert(_TRIAL).values(row))
                _insert(connection, booked)
        except IntegrityError as error:
            raise InputError(f"trial {trial['key']} is in this study already; it is not written twice") from error

    def trials(self) -> list[Json]:
        """See `Store`."""
        return self._all(_TRIAL)

    def add_entries(self, entries: Sequence[Json]) -> None:
        """See `Store`."""
        booked = self._rows(entries)
        with self._write() as connection:
            _insert(connection, booked)

    def ledger(self) -> list[Json]:
        """See `Store`."""
        return self._all(_LEDGER)

    def set(self, name: str, value: Any) -> None:
        """See `Store`."""
        mine = sa.and_(_VALUE.c.study == self._id, _VALUE.c.name == name)
        text = _text(value)
        with self._write() as connection:
            connection.execute(sa.delete(_VALUE).where(mine))
            connection.execute(sa.insert(_VALUE).values(study=self._id, name=name, value=text))

    def get(self, name: str) -> Any:
        """See `Store`."""
        return self._one(sa.select(_VALUE.c.value).where(_VALUE.c.study == self._id, _VALUE.c.name == name))

    def close(self) -> None:
        """See `Store`."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    @contextlib.contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        if self._lock is not None:
            self._lock.hold()
        writing = self._engine.execution_options(trimwatt_writes=True)
        with plain_errors(self._engine.url), writing.begin() as connection:
            yield connection

    def _one(self, query: sa.Select[Any]) -> Any:
        with plain_errors(self._engine.url), self._engine.begin() as connection:
            text = connection.scalar(query)
        return None if text is None else json.loads(text)

    def _all(self, table: sa.TableClause) -> list[Json]:
        query = sa.select(table.c.data).where(table.c.study == self._id).order_by(table.c.id)
        with plain_errors(self._engine.url), self._engine.begin() as connection:
            return [json.loads(text) for text in connection.scalars(query)]

    def _rows(self, entries: Sequence[Json]) -> list[Json]:
        return [{"study": self._id, "data": _text(entry)} for entry in entries]


def _insert(connection: sa.Connection, rows: list[Json]) -> None:
    if rows:
        connection.execute(sa.insert(_LEDGER), rows)


def _lock(url: sa.URL, study: str) -> WriterLock | None:
    """A lock beside the SQLite file; a server keeps its own order."""
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
