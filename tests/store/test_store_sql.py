"""The SQL store, held to the contract on SQLite, and on PostgreSQL where there is a server."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimwatt.errors import InputError, MissingExtra
from trimwatt.store import Store, database, open_store
from trimwatt.store._engine import connect
from trimwatt.store.sql import SqlStore
from trimwatt.testing.store import StoreContract

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


class TestSqlite(StoreContract):
    def open(self, folder: Path, study: str = "study") -> Store:
        return SqlStore(folder / "study.db", study)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(value=st.dictionaries(st.text(max_size=8), JSON, max_size=5), name=st.text("abc-é ", min_size=1))
    def test_any_json_survives(self, tmp_path: Path, value: dict[str, Any], name: str) -> None:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        store = self.open(folder)
        store.save_study(value)
        store.set(name, value)
        store.add_trial({**value, "key": "k"}, [value, value])
        store.close()
        again = self.open(folder)
        assert (again.study(), again.get(name), again.ledger()) == (value, value, [value, value])
        assert again.trials() == [{**value, "key": "k"}]
        again.close()

    def test_closing_leaves_the_database_alone_in_its_folder(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        store.add_trial({"key": "a"})
        store.close()
        assert [path.name for path in tmp_path.iterdir()] == ["study.db"]

    def test_a_trial_whose_ledger_cannot_be_booked_is_not_kept(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        with contextlib.closing(sqlite3.connect(tmp_path / "study.db")) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON trimwatt_ledger WHEN NEW.data LIKE '%last%' "
                "BEGIN SELECT RAISE(ABORT, 'no room'); END"
            )
        with pytest.raises(InputError):
            store.add_trial({"key": "a"}, [{"step": "first"}, {"step": "last"}])
        assert (store.trials(), store.ledger()) == ([], [])
        store.close()

    def test_a_second_writer_is_refused_until_the_first_is_done(self, tmp_path: Path) -> None:
        first, second = self.open(tmp_path), self.open(tmp_path)
        first.add_trial({"key": "a"})
        with pytest.raises(InputError, match=r"another process is writing to study\.db"):
            second.add_trial({"key": "b"})
        first.close()
        second.add_trial({"key": "b"})
        assert [trial["key"] for trial in second.trials()] == ["a", "b"]
        second.close()


class TestServer(StoreContract):
    """Each test has studies of its own, since the database outlives it."""

    url = ""

    @pytest.fixture(autouse=True)
    def _on_server(self, server_url: str) -> None:
        self.url = server_url

    def open(self, folder: Path, study: str = "study") -> Store:
        return SqlStore(self.url, f"{folder}/{study}")

    def test_a_second_writer_is_refused_until_the_first_is_done(self, tmp_path: Path) -> None:
        first, second = self.open(tmp_path), self.open(tmp_path)
        other = self.open(tmp_path, "another study")
        first.add_trial({"key": "a"})
        for act in (second.claim, lambda: second.add_trial({"key": "b"}), lambda: second.set("a", 1)):
            with pytest.raises(
                InputError, match=r"another process is writing to the study .*; wait until it has ended"
            ):
                act()
        other.add_trial({"key": "b"})
        assert [trial["key"] for trial in second.trials()] == ["a"]
        first.close()
        second.add_trial({"key": "b"})
        assert [trial["key"] for trial in second.trials()] == ["a", "b"]
        second.close()
        other.close()

    def test_a_writer_whose_connection_was_cut_loses_its_lock_and_takes_it_again(self, tmp_path: Path) -> None:
        first = self.open(tmp_path)
        first.add_trial({"key": "a"})
        engine = connect(self.url)
        with engine.connect() as connection:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            connection.execute(sa.text(cut))
        engine.dispose()
        with pytest.raises(InputError, match="cannot be used"):
            first.add_trial({"key": "b"})
        first.add_trial({"key": "b"})
        assert [trial["key"] for trial in first.trials()] == ["a", "b"]
        second = self.open(tmp_path)
        with pytest.raises(InputError, match="another process is writing"):
            second.add_trial({"key": "c"})
        second.close()
        first.close()


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "bytes_", [b"no database at all, but long enough to be one" * 100, b"SQLite format 3\0" + b"\7" * 4096]
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, bytes_: bytes) -> None:
    (tmp_path / "study.db").write_bytes(bytes_)
    message = refusal(lambda: open_store(tmp_path))
    assert "study.db cannot be used" in message
    assert "move it away" in message


def test_damage_in_the_middle_is_named_too(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for number in range(200):
        store.add_trial({"key": str(number), "text": "x" * 500})
    store.close()
    path = tmp_path / "study.db"
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)

    def read() -> None:
        damaged = open_store(tmp_path)
        try:
            damaged.trials()
        finally:
            damaged.close()

    assert "cannot be used" in refusal(read)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "gone/study.db cannot be used" in refusal(lambda: open_store(tmp_path / "gone"))


@pytest.mark.parametrize("url", ["nonsense", "bogus://host/name", "postgresql+nodriver://host/name"])
def test_a_url_of_no_known_database_is_refused_without_repeating_it(tmp_path: Path, url: str) -> None:
    assert "TRIMWATT_STORE is not the URL" in refusal(lambda: open_store(tmp_path, url))


@pytest.mark.parametrize(
    ("url", "driver", "package"),
    [
        ("postgresql://me:secret@host/name", "psycopg", "trimwatt[postgresql]"),
        ("mysql://host/name", "MySQLdb", "MySQLdb"),
    ],
)
def test_a_missing_driver_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, driver: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(MissingExtra, match=re.escape(f"pip install '{package}'")):
        open_store(tmp_path, url)


def test_the_environment_names_a_shared_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMWATT_STORE", f"sqlite:///{tmp_path / 'shared.db'}")
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        store = open_store(folder)
        store.add_trial({"key": "same", "folder": folder.name})
        store.close()
    for folder in folders:
        store = open_store(folder)
        assert [trial["folder"] for trial in store.trials()] == [folder.name]
        assert sorted(path.name for path in folder.iterdir()) == ["study.id"]
        store.close()


def test_an_emptied_identity_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "study.id").write_text("\n")
    assert "restore it" in refusal(lambda: open_store(tmp_path, f"sqlite:///{tmp_path / 'shared.db'}"))


def test_without_environment_the_folder_keeps_its_own_and_any_name_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "what? 100% #1"
    folder.mkdir()
    store = open_store(folder)
    store.set("name", 1)
    store.close()
    assert database(folder) == folder / "study.db"
    with sqlite3.connect(folder / "study.db") as connection:
        rows = connection.execute("SELECT value FROM trimwatt_value").fetchall()
    connection.close()
    assert [json.loads(value) for (value,) in rows] == [1]
