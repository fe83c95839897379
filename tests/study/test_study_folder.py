"""The folder of a study: what is the user's stays, what a study wrote is known by its content, a kill loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trimwatt.errors import InputError
from trimwatt.store import Lock, folder_lock, open_store
from trimwatt.study import _own
from trimwatt.study import folder as folders

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
STUDY = {"schema": "trimwatt/study/1", "trials": []}


def write_study(folder: Path, verdict: str = "former", lock: Lock | None = None) -> None:
    """What a study leaves, each file with real content."""
    from trimwatt.report import save

    for name in ("trials/t00", "artifact"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    store = open_store(folder, lock=lock)
    store.save_study({"verdict": verdict})
    store.close()
    folders.write_json(folder / "study.json", {**STUDY, "verdict": verdict})
    save({**STUDY, "verdict": verdict}, folder / "report.html")
    np.save(folder / "trials/t00/validation.npy", np.zeros(3))
    for path in ("trials/t00/model.onnx", "artifact/model.onnx"):
        (folder / path).write_bytes(b"\x08\x0a model")
    manifest = {"schema": "trimwatt/artifact/1", "files": {"model.onnx": "0" * 64}}
    (folder / "artifact/manifest.json").write_text(json.dumps(manifest))
    (folder / "artifact/README.md").write_text("# Model\n\nMade with trimwatt\n")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    write_study(folder)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


MINE = ("thesis.tex", "trials/notes.txt", "trials/t00/remarks.txt", "artifact/own.csv", ".git/config", "data/x.csv")


def add_own_files(folder: Path) -> dict[str, bytes]:
    for name in MINE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"mine: {name}")
    return {name: (folder / name).read_bytes() for name in MINE}


def replace(folder: Path) -> folders.Place:
    return folders.Place(folders.choose(folder, "x.csv", resume=False, force=True), resume=False)


def test_everything_a_study_writes_is_known_as_its_own(study: Path) -> None:
    found = _own.look(study)
    assert found.foreign == ()
    assert {path.as_posix() for path in found.own} == set(content(study))


def test_force_removes_what_the_study_wrote_and_nothing_else(study: Path) -> None:
    mine = add_own_files(study)
    with replace(study) as place:
        assert not (study / "study.json").exists()
        place.settle()
    assert content(study) == mine


def test_a_study_that_does_not_come_to_stand_leaves_all_as_it_was(study: Path) -> None:
    add_own_files(study)
    before = content(study)
    with pytest.raises(InputError), replace(study) as place:
        write_study(study, "new", place.lock)
        (study / "work" / "base.bin").write_bytes(b"rows")
        assert place.folder == study
        raise InputError("a budget that does not cover the baseline")
    assert content(study) == before


def test_a_study_that_is_killed_before_it_stands_is_put_back(study: Path) -> None:
    mine = add_own_files(study)
    before = content(study)
    place = replace(study)
    place.__enter__()
    write_study(study, "new", place.lock)
    # a kill: the system drops the lock, nobody tidies
    place.lock.release()
    (study / "late.txt").write_text("mine too")
    with pytest.raises(InputError, match="waits in it, --resume puts it back"):
        folders.choose(study, "x.csv", resume=False, force=False)
    assert folders.choose(study, "x.csv", resume=True, force=False) == study
    assert content(study) == {**before, **mine, "late.txt": b"mine too"}


def test_a_kill_while_things_are_moved_loses_nothing(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, moved = content(study), []

    class Killed(BaseException):
        pass

    def rename(self: Path, target: Path) -> None:
        if len(moved) == 4:
            raise Killed
        moved.append(os.rename(self, target))

    place = replace(study)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", rename)
        patched.setattr(folders, "recover", lambda folder: None)
        with pytest.raises(Killed):
            place.__enter__()
    assert content(study) != before
    folders.choose(study, "x.csv", resume=True, force=False)
    assert content(study) == before


@pytest.mark.parametrize("link", [False, True])
def test_a_replaced_study_is_deleted_even_where_the_run_was_killed_over_it(study: Path, link: bool) -> None:
    outside = study.parent / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("x")
    replaced = study / ".trimwatt-replaced-abc"
    replaced.symlink_to(outside) if link else replaced.mkdir()
    with folders.Place(study, resume=True):
        pass
    assert replaced.exists() is link and (outside / "precious.txt").exists()


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


@pytest.mark.parametrize("own", ["study.json", "study.db"])
def test_a_project_with_such_a_name_in_it_is_no_study(tmp_path: Path, own: str) -> None:
    folder = tmp_path / "project"
    for name in (".git/config", "src/precious.py"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("x")
    (folder / own).write_text('{"title": "my own clinical study"}')
    before = content(folder)
    with pytest.raises(InputError, match=rf"project/{own} is not as a study"):
        replace(folder)
    assert content(folder) == before


def test_trials_without_a_database_are_taken_by_force(study: Path) -> None:
    for name in ("study.json", "study.db", "report.html"):
        (study / name).unlink()
    shutil.rmtree(study / "artifact")
    with replace(study) as place:
        place.settle()
    assert list(study.iterdir()) == []


def test_an_empty_folder_is_taken_by_force(tmp_path: Path) -> None:
    with replace(tmp_path) as place:
        place.settle()
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_runs_is_not_replaced(study: Path) -> None:
    before = content(study)
    with folders.Place(study, resume=True), pytest.raises(InputError, match=r"a study is running in .*out; wait"):
        replace(study).__enter__()
    assert content(study) == before
    lock = folder_lock(study)
    lock.hold()
    lock.release()


def test_a_study_on_a_server_that_another_machine_writes_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.setenv("TRIMWATT_STORE", f"sqlite:///{tmp_path / 'shared.db'}")
    store = open_store(folder)
    store.claim()
    with pytest.raises(InputError, match="another process is writing"):
        replace(folder).__enter__()
    store.close()
    assert (folder / "study.id").is_file()
    with replace(folder) as place:
        place.settle()
    assert not (folder / "study.id").exists()


def test_a_link_to_a_folder_stays_one(study: Path) -> None:
    link = study.parent / "link"
    link.symlink_to(study)
    for _ in range(2):
        with replace(link) as place:
            write_study(link, "new", place.lock)
            place.settle()
        assert link.is_symlink()
        assert {path.name for path in study.parent.iterdir()} == {"link", "out"}


@pytest.mark.parametrize("force", [False, True])
def test_a_link_to_nowhere_and_a_file_are_refused(tmp_path: Path, force: bool) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine")
    for name, what in (("link", "is a link to .*nowhere, which is no folder"), ("file", "is a file")):
        with pytest.raises(InputError, match=what):
            folders.choose(tmp_path / name, "x.csv", resume=False, force=force)


def test_the_current_folder_may_be_the_study_s(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = add_own_files(study)
    monkeypatch.chdir(study)
    with replace(Path()) as place:
        place.settle()
    assert content(study) == mine and Path.cwd() == study


def test_work_is_private_and_gone_when_the_study_is(study: Path) -> None:
    with folders.Place(study, resume=True):
        assert (study / "work").stat().st_mode & 0o777 == 0o700
        (study / "work" / "base.bin").write_bytes(b"rows")
        (study / "trials/t00/live.bin").write_bytes(b"model")
    assert not (study / "work").exists() and not (study / "trials/t00/live.bin").exists()


def test_what_a_killed_run_left_in_work_goes_with_the_next(study: Path) -> None:
    (study / "work").mkdir()
    for name in ("work/base.bin", "work/0123456789abcdef.bin", "trials/t00/live.bin"):
        (study / name).write_bytes(b"rows")
    assert folders.tidy_stopped(study)
    assert not (study / "work").exists() and not (study / "trials/t00/live.bin").exists()
    (study / "trials/t00/live.bin").write_bytes(b"model")
    with folders.Place(study, resume=True):
        (study / "trials/t00/live.bin").write_bytes(b"model of the run")
        assert not folders.tidy_stopped(study)
        assert (study / "trials/t00/live.bin").exists()


def test_a_folder_that_disappears_is_said_and_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with (
        pytest.raises(InputError, match="was removed or replaced while the study ran"),
        folders.Place(folder, resume=False) as place,
        place.guarded(),
    ):
        shutil.rmtree(folder)
        (folder / "trials" / "t00" / "validation.npy").write_bytes(b"")
    assert not folder.exists()


def test_a_folder_that_was_replaced_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with pytest.raises(InputError, match="removed or replaced"), folders.Place(folder, resume=False) as place:
        folder.rename(tmp_path / "moved")
        folder.mkdir()
        (folder / "study.json").write_text("another's")
        place.check()
    assert content(folder) == {"study.json": b"another's"}


def test_a_link_beside_study_json_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim.txt").write_text("the user's own file")
    for name in ("study.json.part", "study.json"):
        (tmp_path / name).symlink_to(tmp_path / "victim.txt")
    folders.write_json(tmp_path / "study.json", {"a": 1})
    assert (tmp_path / "victim.txt").read_text() == "the user's own file"
    assert not (tmp_path / "study.json").is_symlink() and json.loads((tmp_path / "study.json").read_text()) == {"a": 1}
