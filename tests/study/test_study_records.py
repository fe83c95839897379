"""What a study's database kept is checked before it names a file: it may have come from elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from trimwatt.errors import InputError
from trimwatt.runtime import signature
from trimwatt.runtime._base import Artifact
from trimwatt.store.sql import SqlStore
from trimwatt.study import records
from trimwatt.trial import Trial

TRIAL = Trial("t03", "forest", "forest", [{"technique": "forest"}], "sklearn", "key")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    with contextlib.closing(SqlStore(tmp_path / "study.db")) as opened:
        yield opened


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    (tmp_path / "model.skops").write_bytes(b"objects")
    return Artifact(tmp_path, "sklearn", ("model.skops",))


def test_trials_come_back_as_they_were(store: SqlStore) -> None:
    store.add_trial(TRIAL.to_dict())
    assert records.trials(store) == [TRIAL]


@pytest.mark.parametrize("wrong", ["../../outside/here", "/etc/x", "t00/../../x", "t0", "", "t00\0", "T00", "work", 7])
def test_an_id_that_is_none_of_ours_is_refused(store: SqlStore, wrong: object) -> None:
    store.add_trial({**TRIAL.to_dict(), "id": wrong})
    with pytest.raises(InputError, match="holds a trial") as refused:
        records.trials(store)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("spoilt", [{"surprise": 1}, {"runtime": None}, {"quality": {"x": 1}}, {"quality": 3}])
def test_a_trial_that_is_none_is_refused(store: SqlStore, spoilt: dict[str, object]) -> None:
    store.add_trial({**TRIAL.to_dict(), **spoilt})
    with pytest.raises(InputError, match="holds a trial"):
        records.trials(store)


def test_an_artifact_opens_again_where_it_was_made(store: SqlStore, artifact: Artifact) -> None:
    records.keep(store, TRIAL, artifact)
    found = records.files(store, TRIAL)
    assert found is not None and set(found) == {"model.skops"}
    reopened = replace(artifact, digests=found)
    assert reopened.content("model.skops") == b"objects"
    (artifact.folder / "model.skops").write_bytes(b"others")
    with pytest.raises(InputError, match="sha256 differs"):
        reopened.content("model.skops")


def test_objects_from_elsewhere_are_not_opened_and_data_are(store: SqlStore, artifact: Artifact) -> None:
    records.keep(store, TRIAL, artifact)
    kept = store.get("files:t03")
    store.set("files:t03", {**kept, "seal": "0" * 64})
    assert records.files(store, TRIAL) is None
    store.set("files:t03", {**kept, "seal": None})
    assert records.files(store, TRIAL) is None
    # a seal is of one trial in one runtime
    store.set("files:t03", kept)
    assert records.files(store, replace(TRIAL, runtime="torch")) is None
    assert records.files(store, replace(TRIAL, key="another")) is None
    assert records.files(store, replace(TRIAL, runtime="onnxruntime")) == kept["files"]
    assert records.files(store, replace(TRIAL, runtime="of no package here")) is None
    path = signature.key_path()
    assert path is not None
    path.unlink()
    assert records.files(store, TRIAL) is None


@pytest.mark.parametrize("kept", [None, [], ["model.onnx"], {}, {"files": {}}, {"files": {"model.onnx": "0"}}, 7])
def test_records_of_another_form_are_none(store: SqlStore, kept: object) -> None:
    store.set("files:t03", kept)
    assert records.files(store, replace(TRIAL, runtime="onnxruntime")) is None


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "a/../../b", "a\0b", ""])
def test_a_file_s_name_that_leads_out_is_refused(store: SqlStore, name: str) -> None:
    store.set("files:t03", {"files": {name: "0" * 64}, "seal": None})
    with pytest.raises(InputError, match="does not stay inside its folder"):
        records.files(store, replace(TRIAL, runtime="onnxruntime"))
