"""The schema's steps: each whole or not at all, never backwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from trimwatt.errors import InputError
from trimwatt.store._engine import connect
from trimwatt.store.migrations import MIGRATIONS, migrate, version
from trimwatt.store.sql import SqlStore


def m002_note(connection: sa.Connection) -> None:
    connection.execute(sa.text("ALTER TABLE trimwatt_trial ADD COLUMN note TEXT"))


def m003_breaks_halfway(connection: sa.Connection) -> None:
    connection.execute(sa.text("CREATE TABLE trimwatt_half (id INTEGER)"))
    connection.execute(sa.text("INSERT INTO trimwatt_absent VALUES (1)"))


def test_steps_are_named_by_their_number() -> None:
    for number, step in enumerate(MIGRATIONS, start=1):
        assert step.__name__.startswith(f"m{number:03}_")


def test_a_later_step_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    store = SqlStore(path)
    store.add_trial({"key": "a"})
    store.close()
    engine = connect(path)
    migrate(engine, (*MIGRATIONS, m002_note))
    migrate(engine, (*MIGRATIONS, m002_note))
    with engine.begin() as connection:
        assert version(connection) == 2
        assert connection.execute(sa.text("SELECT key, note FROM trimwatt_trial")).all() == [("a", None)]
    engine.dispose()


def test_a_step_that_fails_leaves_the_version_before_it(tmp_path: Path) -> None:
    engine = connect(tmp_path / "study.db")
    with pytest.raises(sa.exc.OperationalError):
        migrate(engine, (*MIGRATIONS, m002_note, m003_breaks_halfway))
    with engine.begin() as connection:
        assert version(connection) == 2
        assert not sa.inspect(connection).has_table("trimwatt_half")
    engine.dispose()


def test_a_database_of_a_newer_trimwatt_is_refused(tmp_path: Path) -> None:
    engine = connect(tmp_path / "study.db")
    migrate(engine, (*MIGRATIONS, m002_note))
    engine.dispose()
    with pytest.raises(InputError, match=r"schema 2, this trimwatt knows up to 1; upgrade trimwatt"):
        SqlStore(tmp_path / "study.db")
