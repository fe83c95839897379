"""What a stranger may have laid beside a database must not reach out of its folder when the database is opened."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from trimwatt.errors import InputError
from trimwatt.store import open_store
from trimwatt.store._beside import check_beside
from trimwatt.study import _own
from trimwatt.study import folder as folders

_MAGIC = bytes.fromhex("d9d505f920a163d7")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim.txt"
    path.write_text("the user's own file")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study as `trimwatt optimize` keeps it."""
    path = tmp_path / "stranger"
    path.mkdir()
    store = open_store(path)
    store.save_study({"metric": ["accuracy", "classification"], "options": {}, "data": {}})
    store.close()
    return path


def hot_journal(folder: Path, victim: Path) -> None:
    """A journal that was left half done, and names `victim` as the one it belongs to."""
    database = folder / "study.db"
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    (page,) = struct.unpack(">H", database.read_bytes()[16:18])
    header = _MAGIC + struct.pack(">IIIII", 0, 1, database.stat().st_size // page, 512, page)
    name = os.fsencode(victim)
    trailer = struct.pack(">I", 0x40000000 // page + 1) + name + struct.pack(">II", len(name), sum(name)) + _MAGIC
    (folder / "study.db-journal").write_bytes(header.ljust(512, b"\0") + trailer)


def link(end: str) -> Callable[[Path, Path], None]:
    def lay(folder: Path, victim: Path) -> None:
        (folder / f"study.db{end}").unlink(missing_ok=True)
        (folder / f"study.db{end}").symlink_to(victim)

    return lay


def test_such_a_journal_is_what_makes_sqlite_delete(folder: Path, victim: Path) -> None:
    hot_journal(folder, victim)
    with sqlite3.connect(folder / "study.db") as connection:
        connection.execute("SELECT * FROM sqlite_master").fetchall()
    connection.close()
    assert not victim.exists()


@pytest.mark.parametrize("lay", [hot_journal, link(""), link("-wal"), link("-shm"), link("-journal")])
def test_nothing_outside_is_touched(folder: Path, victim: Path, lay: Callable[[Path, Path], None]) -> None:
    lay(folder, victim)
    with pytest.raises(InputError, match="so the database was not opened; move it away") as told:
        open_store(folder)
    assert "\n" not in str(told.value)
    assert not _own.is_study(folder)
    with pytest.raises(InputError, match="nothing was touched"):
        folders.choose(folder, "x.csv", resume=False, force=True)
    assert folders.tidy_stopped(folder)
    assert victim.read_text() == "the user's own file"


def test_a_database_that_is_being_made_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = folder / "study.db-journal"
    journal.touch()
    monkeypatch.setattr("time.sleep", lambda _: journal.unlink())
    check_beside(folder / "study.db")
