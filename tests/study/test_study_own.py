"""What in a folder is a study's: by content and by proof, never by a name, never through a link."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from left_behind import content, replace, write_study

from trimwatt import _handoff
from trimwatt.errors import InputError
from trimwatt.study import _own
from trimwatt.study import folder as folders


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    write_study(folder)
    return folder


def test_everything_a_study_writes_is_known_as_its_own(study: Path) -> None:
    found = _own.look(study)
    assert found.foreign == ()
    assert {path.as_posix() for path in found.own} == set(content(study))


def own_study_json(folder: Path) -> None:
    (folder / "study.json").write_text('{"title": "my own clinical study"}')


def own_database(folder: Path) -> None:
    import sqlite3

    (folder / "study.db").unlink(missing_ok=True)
    with sqlite3.connect(folder / "study.db") as connection:
        connection.execute("CREATE TABLE patients (name TEXT)")
    connection.close()


def own_page(folder: Path) -> None:
    (folder / "report.html").write_text("<h1>my trimwatt report</h1>")


def own_artifact(folder: Path) -> None:
    (folder / "artifact/manifest.json").write_text('{"name": "my web app"}')


def own_model(folder: Path) -> None:
    (folder / "trials/t00/model.json").write_text("my notes on the model")


def own_card(folder: Path) -> None:
    (folder / "artifact/README.md").write_text("my notes")


def changed_card(folder: Path) -> None:
    with (folder / "artifact/README.md").open("a") as card:
        card.write("and my notes, made with trimwatt\n")


def changed_model(folder: Path) -> None:
    (folder / "artifact/model.onnx").write_bytes(b"\x08 a model of my own")


def own_object(folder: Path) -> None:
    (folder / "work").mkdir()
    (folder / "work/deadbeef.bin").write_bytes(b"firmware")


def own_live(folder: Path) -> None:
    (folder / "trials/t00/live.bin").write_bytes(b"recording")


def linked_below(folder: Path) -> None:
    """A listed file, as the manifest has it, behind a link."""
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "model.onnx").write_bytes(b"mine")
    (folder / "artifact/sub").symlink_to(elsewhere)
    listed = {"sub/model.onnx": hashlib.sha256(b"mine").hexdigest()}
    manifest = {"schema": "trimwatt/artifact/1", "files": listed}
    (folder / "artifact/manifest.json").write_text(json.dumps(manifest))


def own_model_beside(folder: Path) -> None:
    (folder / "artifact/model.skops").write_bytes(b"PK mine")


def linked_model(folder: Path) -> None:
    (folder / "artifact/model.onnx").rename(folder.parent / "mine.onnx")
    (folder / "artifact/model.onnx").symlink_to(folder.parent / "mine.onnx")


def own_work(folder: Path) -> None:
    (folder / "work").mkdir()
    (folder / "work/todo.txt").write_text("x")


def linked_trials(folder: Path) -> None:
    (folder / "trials").rename(folder.parent / "elsewhere")
    (folder / "trials").symlink_to(folder.parent / "elsewhere")


def linked_file(folder: Path) -> None:
    (folder / "study.json").rename(folder.parent / "mine.json")
    (folder / "study.json").symlink_to(folder.parent / "mine.json")


@pytest.mark.parametrize(
    "spoil",
    [
        own_study_json,
        own_database,
        own_page,
        own_artifact,
        own_model,
        own_card,
        changed_card,
        changed_model,
        own_object,
        own_live,
        linked_below,
        own_model_beside,
        linked_model,
        own_work,
        linked_trials,
        linked_file,
    ],
)
def test_what_is_in_the_way_is_named_and_nothing_is_touched(study: Path, spoil: Callable[[Path], None]) -> None:
    spoil(study)
    before = content(study.parent)
    for resume in (False, True):
        with pytest.raises(InputError, match="is not as a study of trimwatt leaves it, so nothing was touched") as told:
            folders.choose(study, "x.csv", resume=resume, force=not resume)
        assert "\n" not in str(told.value)
    assert content(study.parent) == before


@pytest.mark.parametrize("kept", ["study.json", "study.db", "report.html"])
def test_one_file_that_proves_a_study_is_enough(study: Path, kept: str) -> None:
    for name in {"study.json", "study.db", "report.html"} - {kept}:
        (study / name).unlink()
    with replace(study) as place:
        place.settle()
    assert list(study.iterdir()) == []


@pytest.mark.parametrize("database", [None, b""])
@pytest.mark.parametrize("below", ["trials", "artifact", "work"])
def test_without_such_a_file_nothing_is_ours_whatever_its_name(study: Path, below: str, database: bytes | None) -> None:
    (study / "work").mkdir()
    _handoff.write("rows", study / "work/base.bin")
    for path in study.iterdir():
        if path.name != below:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if database is not None:
        (study / "study.db").write_bytes(database)
    before = content(study)
    assert before
    with pytest.raises(InputError, match="nothing was touched"):
        folders.choose(study, "x.csv", resume=False, force=True)
    assert folders.tidy_stopped(study)
    assert content(study) == before


def test_what_is_put_back_goes_through_no_link(study: Path) -> None:
    outside = study.parent / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    former = study / ".trimwatt-former-x"
    (former / "trials/t01").mkdir(parents=True)
    (former / "trials/t01/mine.txt").write_text("a stranger's")
    (former / "state").write_text("moving")
    (study / "trials/t01").symlink_to(outside)
    with pytest.raises(InputError, match="t01 is a link, so nothing was touched"):
        folders.tidy_stopped(study)
    assert content(outside) == {"mine.txt": b"mine"}


def test_tidying_and_pruning_stay_in_the_folder(study: Path) -> None:
    outside = study.parent / "outside"
    for name in ("empty", "t00", "t01"):
        (outside / name).mkdir(parents=True)
    for name in ("base.bin", "t00/live.bin"):
        _handoff.write("mine", outside / name)
    shutil.rmtree(study / "trials")
    (study / "trials").symlink_to(outside)
    (study / "work").symlink_to(outside)
    before = content(outside)
    assert folders.tidy_stopped(study)
    folders._prune(study)
    assert content(outside) == before and (outside / "empty").is_dir() and (outside / "t01").is_dir()


def test_a_database_that_another_program_holds_is_known_all_the_same(study: Path) -> None:
    import sqlite3

    for name in ("study.json", "report.html"):
        (study / name).unlink()
    holder = sqlite3.connect(study / "study.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("CREATE TABLE more (name TEXT)")
    assert (study / "study.db-wal").exists()
    assert _own.is_study(study)
    holder.close()


def test_empty_folders_of_the_user_s_stay(study: Path) -> None:
    (study / "trials/ideas").mkdir()
    with replace(study) as place:
        place.settle()
    assert [path.relative_to(study).as_posix() for path in study.rglob("*")] == ["trials", "trials/ideas"]
