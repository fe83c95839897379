"""The folder of a study: what is the user's stays, what a study wrote is known by its content, a kill loses nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from left_behind import content, replace, write_study

from trimwatt import _handoff
from trimwatt.errors import InputError
from trimwatt.store import folder_lock, open_store
from trimwatt.study import folder as folders


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    write_study(folder)
    return folder


MINE = ("thesis.tex", "trials/notes.txt", "trials/t00/remarks.txt", "artifact/own.csv", ".git/config", "data/x.csv")


def add_own_files(folder: Path) -> dict[str, bytes]:
    for name in MINE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"mine: {name}")
    return {name: (folder / name).read_bytes() for name in MINE}


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
        _handoff.write("rows", study / "work" / "base.bin")
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


def test_a_study_that_was_just_begun_is_taken_by_force(tmp_path: Path) -> None:
    (tmp_path / "study.db").touch()
    (tmp_path / "trials").mkdir()
    with replace(tmp_path) as place:
        place.settle()
    assert list(tmp_path.iterdir()) == []


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
        _handoff.write("rows", study / "work" / "base.bin")
        _handoff.write("model", study / "trials/t00/live.bin")
    assert not (study / "work").exists() and not (study / "trials/t00/live.bin").exists()


def test_what_a_killed_run_left_in_work_goes_with_the_next(study: Path) -> None:
    (study / "work").mkdir()
    for name in ("work/base.bin", "work/0123456789abcdef.bin", "trials/t00/live.bin"):
        _handoff.write("rows", study / name)
    assert folders.tidy_stopped(study)
    assert not (study / "work").exists() and not (study / "trials/t00/live.bin").exists()
    _handoff.write("model", study / "trials/t00/live.bin")
    with folders.Place(study, resume=True):
        _handoff.write("model of the run", study / "trials/t00/live.bin")
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
