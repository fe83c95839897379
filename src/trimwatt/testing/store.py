"""What every store must do. Inherit `StoreContract`, say how yours is opened, and pytest runs it all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimwatt.errors import InputError
from trimwatt.store import Store


def _trial(key: str, **more: Any) -> dict[str, Any]:
    return {"id": f"t-{key}", "key": key, "status": "done", **more}


def _entry(trial: str | None, joules: float) -> dict[str, Any]:
    return {"stage": "train", "trial": trial, "joules": joules, "low": joules, "high": joules, "origin": "estimated"}


class StoreContract:
    """Facts that hold for any store; `open` is all that an implementer gives."""

    def open(self, folder: Path, study: str = "study") -> Store:
        """A store on the database that belongs to `folder`, new or not, for the study `study`."""
        raise TypeError("a store's test says how its store is opened: override open()")

    def test_new_store_is_empty(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        assert (store.study(), store.trials(), store.ledger(), store.get("absent")) == (None, [], [], None)
        store.close()

    def test_what_was_written_is_there_when_opened_again(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        store.save_study({"metric": "f1", "seed": 0})
        store.add_trial(_trial("a", quality={"value": 0.5}), [_entry("a", 2.0)])
        store.set("self-test", {"ratio": 1.0, "pairs": 20})
        store.close()
        again = self.open(tmp_path)
        assert again.study() == {"metric": "f1", "seed": 0}
        assert again.trials() == [_trial("a", quality={"value": 0.5})]
        assert again.ledger() == [_entry("a", 2.0)]
        assert again.get("self-test") == {"ratio": 1.0, "pairs": 20}
        again.close()

    def test_order_is_that_of_writing(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        keys = ["m", "z", "a", "k", "b"]
        for number, key in enumerate(keys):
            store.add_trial(_trial(key), [_entry(key, float(number))])
        store.add_entries([_entry(None, 10.0), _entry(None, 9.0)])
        assert [trial["key"] for trial in store.trials()] == keys
        assert [entry["joules"] for entry in store.ledger()] == [0.0, 1.0, 2.0, 3.0, 4.0, 10.0, 9.0]
        store.close()

    def test_a_key_is_written_once_and_a_refusal_writes_nothing(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        store.add_trial(_trial("a"), [_entry("a", 1.0)])
        with pytest.raises(InputError, match="trial a is in this study already"):
            store.add_trial(_trial("a", status="failed"), [_entry("a", 5.0)])
        assert store.trials() == [_trial("a")]
        assert store.ledger() == [_entry("a", 1.0)]
        store.close()

    def test_a_value_that_is_no_json_writes_nothing(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        with pytest.raises(TypeError, match="a store keeps JSON, got object"):
            store.add_trial(_trial("a"), [_entry("a", 1.0), {"stage": object()}])
        assert store.trials() == []
        store.close()

    def test_the_last_value_and_the_last_study_stand(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        for value in ({"a": 1}, [1, 2.5, None], "text", 0, False, None):
            store.set("name", value)
            store.save_study({"value": value})
            assert store.get("name") == value
            assert store.study() == {"value": value}
        store.close()

    def test_numbers_come_back_as_they_were(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        store.add_trial(_trial("a", size=np.int64(2**40), value=np.float64(0.1), shape=(1, 2), nothing=math.nan))
        (trial,) = store.trials()
        assert (trial["size"], trial["value"], trial["shape"]) == (2**40, 0.1, [1, 2])
        assert math.isnan(trial["nothing"])
        store.close()

    def test_studies_in_one_database_do_not_see_each_other(self, tmp_path: Path) -> None:
        one, two = self.open(tmp_path, "one"), self.open(tmp_path, "two")
        one.save_study({"name": "one"})
        for store, joules in ((one, 1.0), (two, 2.0)):
            store.add_trial(_trial("same"), [_entry("same", joules)])
            store.set("name", joules)
        assert two.study() is None
        assert ([entry["joules"] for entry in one.ledger()], one.get("name")) == ([1.0], 1.0)
        assert ([entry["joules"] for entry in two.ledger()], two.get("name")) == ([2.0], 2.0)
        one.close()
        two.close()

    def test_another_process_may_read_while_one_writes(self, tmp_path: Path) -> None:
        writer, reader = self.open(tmp_path), self.open(tmp_path)
        for key in ("a", "b"):
            writer.add_trial(_trial(key))
            assert reader.trials()[-1] == _trial(key)
        reader.close()
        writer.close()

    def test_closing_twice_changes_nothing(self, tmp_path: Path) -> None:
        store = self.open(tmp_path)
        store.close()
        store.close()
