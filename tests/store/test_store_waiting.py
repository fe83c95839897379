"""A database that another process holds: waited for, and then what was found waits in memory."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimwatt.errors import InputError
from trimwatt.store import Busy, folder_lock, open_store
from trimwatt.store.deferring import DeferringStore
from trimwatt.store.sql import SqlStore


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else in the middle of writing."""
    with contextlib.closing(sqlite3.connect(folder / "study.db", isolation_level=None, check_same_thread=False)) as c:
        c.execute("BEGIN IMMEDIATE")
        yield c


def impatient(folder: Path) -> SqlStore:
    store = open_store(folder)
    assert isinstance(store, SqlStore) and store.patience_s > 10
    store.save_study({"a": 1})
    store.patience_s = 0.0
    return store


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    store = impatient(tmp_path)
    store.patience_s = 60.0
    with locked(tmp_path) as connection:
        release = threading.Timer(1.5, connection.execute, ["COMMIT"])
        release.start()
        store.add_trial({"key": "a"})
        release.join()
    assert [trial["key"] for trial in store.trials()] == ["a"]
    store.close()


def test_one_that_stays_locked_is_told_apart_from_one_that_is_broken(tmp_path: Path) -> None:
    store = impatient(tmp_path)
    with locked(tmp_path), pytest.raises(Busy, match=r"study\.db is locked by another process"):
        store.add_trial({"key": "a"})
    store.close()


def test_what_is_found_meanwhile_waits_in_memory_and_none_is_lost(tmp_path: Path) -> None:
    told: list[str] = []
    inner = impatient(tmp_path)
    store = DeferringStore(inner, told.append)
    store.add_trial({"key": "before"})
    with locked(tmp_path):
        store.set("files:t01", ["model.onnx"])
        store.add_trial({"key": "a"}, [{"stage": "train"}])
        store.add_entries([{"stage": "measure"}])
        store.set("files:t01", ["model.skops"])
        assert not store.catch_up()
        assert store.waiting == 1
        assert [trial["key"] for trial in store.trials()] == ["before", "a"]
        assert [entry["stage"] for entry in store.ledger()] == ["train", "measure"]
        assert store.get("files:t01") == ["model.skops"]
        assert [trial["key"] for trial in inner.trials()] == ["before"]
    assert store.catch_up() and store.waiting == 0
    assert [trial["key"] for trial in inner.trials()] == ["before", "a"]
    assert [entry["stage"] for entry in inner.ledger()] == ["train", "measure"]
    assert inner.get("files:t01") == ["model.skops"]
    assert told and "waits in memory" in told[0]
    store.close()


def test_a_write_that_is_refused_for_good_is_not_tried_for_ever(tmp_path: Path) -> None:
    store = DeferringStore(impatient(tmp_path), lambda text: None)
    store.add_trial({"key": "a"})
    with pytest.raises(InputError, match="is in this study already"):
        store.add_trial({"key": "a"})
    store.add_trial({"key": "b"})
    assert [trial["key"] for trial in store.trials()] == ["a", "b"]
    store.close()


def test_who_holds_the_lock_of_a_folder_may_write_there_and_keeps_it(tmp_path: Path) -> None:
    lock = folder_lock(tmp_path)
    lock.hold()
    store = open_store(tmp_path, lock=lock)
    store.add_trial({"key": "a"})
    store.close()
    with pytest.raises(InputError, match="another process is writing"):
        folder_lock(tmp_path).hold()
    lock.release()
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    folder, victim = tmp_path / "study", tmp_path / "victim"
    folder.mkdir()
    (folder / "study.db.lock").symlink_to(victim)
    with pytest.raises(InputError, match="cannot be written to"):
        folder_lock(folder).hold()
    assert not victim.exists()


def test_a_study_stays_in_the_database_it_was_begun_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"
    for folder in (own, shared):
        folder.mkdir()
    open_store(own).close()
    monkeypatch.setenv("TRIMWATT_STORE", f"sqlite:///{tmp_path / 'shared.db'}")
    open_store(own).close()
    open_store(shared).close()
    assert [path.name for path in own.iterdir()] == ["study.db"]
    monkeypatch.delenv("TRIMWATT_STORE")
    with pytest.raises(InputError, match="set TRIMWATT_STORE to its URL"):
        open_store(shared)
    assert [path.name for path in shared.iterdir()] == ["study.id"]
