"""The report of a study that was stopped: from any database, in every format, with what was done and what was not."""

from __future__ import annotations

import copy
import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trimwatt import _handoff
from trimwatt.store import folder_lock, open_store

Run = Callable[..., tuple[int, str, str]]
FORMATS = ("json", "csv", "md", "html")


def keep(folder: Path, trials: int = 3, *, about: bool = True, **progress: Any) -> None:
    """What a study that was killed has in its database."""
    import sample_study

    study = sample_study.sample()
    options = {"max_drop": 0.01, "floor": None, "scenario": study["scenario"], "seed": 0}
    store = open_store(folder)
    store.save_study(
        {"options": options, "baseline": [], "data": "0" * 64, "model": None, "metric": ["f1", "classification", 1]}
    )
    if about:
        names = ("schema", "task", "metric", "scenario", "budget", "data", "host", "meter")
        store.set("about", {name: study[name] for name in names})
    for number, trial in enumerate(study["trials"][:trials]):
        store.add_trial(trial, study["ledger"][number : number + 1])
    if progress:
        store.set("progress", progress)
    store.close()


@pytest.fixture
def folder() -> Path:
    folder = Path("trimwatt-adult")
    folder.mkdir()
    return folder


@pytest.fixture(params=["own", "shared"])
def kept_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    if request.param == "shared":
        monkeypatch.setenv("TRIMWATT_STORE", f"sqlite:///{tmp_path / 'shared.db'}")
    return str(request.param)


def report_in_every_format(run: Run, folder: Path, trials: int) -> str:
    """What is said of it; each format holds each trial."""
    for format in FORMATS:
        code, out, err = run("report", folder, "--format", format)
        assert code == 0, err
        if format == "json":
            assert len(json.loads(out)) == trials
        if format == "csv":
            assert len(list(csv.DictReader(io.StringIO(out)))) == trials
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("about", [True, False])
def test_it_is_reported_in_every_format(run: Run, kept_in: str, folder: Path, about: bool) -> None:
    keep(folder, 3, about=about, stage="search", left=9)
    said = report_in_every_format(run, folder, 3)
    assert "This study was stopped. Done: 3 candidates measured, the baseline among them" in said
    assert "Not done: 9 more candidates, direct finals, confirmation on the test rows, the artifact." in said
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "f1 at least 0.719" in page and "This study was stopped." in page
    assert ("adult" in page) is about
    assert ("study.id" in {path.name for path in folder.iterdir()}) is (kept_in == "shared")


def test_one_that_was_stopped_late_had_less_to_do(run: Run, folder: Path) -> None:
    keep(folder, 2, stage="confirmation", left=None)
    assert "Not done: confirmation on the test rows, the artifact." in report_in_every_format(run, folder, 2)


def test_a_shared_database_that_is_not_named_is_asked_for(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMWATT_STORE", f"sqlite:///{tmp_path / 'shared.db'}")
    keep(folder)
    monkeypatch.delenv("TRIMWATT_STORE")
    code, out, err = run("report", folder, "--format", "json")
    assert (code, out, err.count("\n")) == (2, "", 1) and "set TRIMWATT_STORE to its URL" in err
    assert [path.name for path in folder.iterdir()] == ["study.id"]


def test_one_that_is_still_running_is_called_that_and_left_alone(run: Run, folder: Path) -> None:
    keep(folder)
    (folder / "work").mkdir()
    _handoff.write("rows", folder / "work" / "base.bin")
    lock = folder_lock(folder)
    lock.hold()
    assert "This study is still running. Done: 3 candidates" in report_in_every_format(run, folder, 3)
    assert (folder / "work" / "base.bin").exists()
    lock.release()
    assert "This study was stopped." in report_in_every_format(run, folder, 3)
    assert not (folder / "work").exists()


@pytest.mark.parametrize("asked", ["proj", "proj/studyy.json", "proj/study.json"])
def test_a_folder_that_is_no_study_is_left_as_it_is(run: Run, asked: str) -> None:
    names = ("work/deadbeef.bin", "work/base.bin", "trials/exp1/live.bin", "trials/t01/live.bin")
    for name in names:
        Path("proj", name).parent.mkdir(parents=True, exist_ok=True)
        Path("proj", name).write_bytes(b"mine")
    code, _, err = run("report", asked)
    assert code == 2 and "does not exist; give the folder" in err
    assert all(Path("proj", name).read_bytes() == b"mine" for name in names)


@pytest.mark.parametrize("kept", ["study.db", "study.id"])
def test_another_program_s_database_is_not_opened(run: Run, folder: Path, kept: str) -> None:
    import sqlite3

    with sqlite3.connect(folder / kept) as connection:
        connection.execute("CREATE TABLE patients (name TEXT)")
    connection.close()
    before = (folder / kept).read_bytes()
    code, _, err = run("report", folder)
    assert code == 2 and "is not a study of trimwatt and was not touched" in err and err.count("\n") == 1
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [(kept, before)]


def test_one_that_was_killed_before_it_wrote_anything_is_not_written_to(run: Run, folder: Path) -> None:
    (folder / "study.db").touch()
    code, _, err = run("report", folder)
    assert code == 2 and "stopped before its baseline was measured" in err
    assert (folder / "study.db").stat().st_size == 0


def test_a_mistyped_name_in_a_study_is_not_taken_for_it(run: Run, folder: Path) -> None:
    keep(folder)
    code, _, err = run("report", folder / "studyy.json")
    assert code == 2 and "studyy.json does not exist" in err


def test_one_that_kept_nothing_says_so(run: Run, folder: Path) -> None:
    keep(folder, 0)
    code, _, err = run("report", folder)
    assert code == 2 and "stopped before its baseline was measured" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda trial: trial.update(quality="good"),
        lambda trial: trial.pop("name"),
        lambda trial: trial.update(
            energy_per_prediction={"joules": 1e308, "low": 0, "high": 1e309, "origin": "estimated"}
        ),
        lambda trial: trial.update(status="excellent"),
        lambda trial: trial.update(recipe=[["a"]]),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_a_database_with_strange_content_is_one_line(
    run: Run, folder: Path, spoil: Callable[[dict[str, Any]], None], format: str
) -> None:
    import sample_study

    trial = sample_study.sample()["trials"][1]
    spoil(trial)
    keep(folder, 1)
    store = open_store(folder)
    store.add_trial({**trial, "key": "strange"})
    store.close()
    code, out, err = run("report", folder, "--format", format)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert "is not a study" in err


@pytest.mark.parametrize(
    "text",
    [
        '{"schema":"trimwatt/study/1","trials":[{}],"metric":5,"data":[]}',
        '{"schema":' + "[" * 200_000 + "]" * 200_000 + "}",
        '{"schema":"trimwatt/study/1","trials":[{}]}',
        '{"schema":"trimwatt/study/1","trials":"none"}',
        '{"schema":"trimwatt/study/1","ledger":[{"stage":"train","joules":1e308,"low":0,"high":1e308,"origin":"estimated"}]}',
        '{"schema":"trimwatt/study/1","ledger":[{"stage":"train","joules":Infinity,"low":0,"high":1,"origin":"estimated"}]}',
        '{"schema":"trimwatt/study/1","duration_s":NaN}',
        '{"schema":"trimwatt/study/1","total":{"joules":' + "9" * 400 + ',"low":0,"high":1,"origin":"mixed"}}',
        '{"schema":"trimwatt/study/1","trials":[{"id":"a","name":"b","status":"done"},{"id":"a","name":"b","status":"done"}]}',
        '{"schema":"trimwatt/study/1","host":{"command":[1,2]}}',
        '{"schema":["trimwatt/study/1"]}',
        "null",
        '"trimwatt/study/1"',
        "",
        "\ud800",
    ],
    ids=range(15),
)
@pytest.mark.parametrize("format", FORMATS)
def test_a_study_json_of_another_form_is_one_line(run: Run, folder: Path, text: str, format: str) -> None:
    (folder / "study.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    code, out, err = run("report", folder, "--format", format)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert not (folder / "report.html").exists()


def spoil_each(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], str]]:
    """Each field of `value` and of what is in it, with each way to spoil it."""
    inside = list(value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ())
    own = [((*path, name), how) for name, _ in inside for how in ("gone", "text", "number", "list", "null")]
    return own + [way for name, inner in inside for way in spoil_each(inner, (*path, name))]


def spoilt(study: dict[str, Any], path: tuple[Any, ...], how: str) -> dict[str, Any]:
    changed = copy.deepcopy(study)
    inner: Any = changed
    for name in path[:-1]:
        inner = inner[name]
    if how == "gone":
        del inner[path[-1]]
    else:
        inner[path[-1]] = {"text": "text", "number": 3.5, "list": [[]], "null": None}[how]
    return changed


# drawing figures takes most of a page's second, so the pages are fewer
@pytest.mark.parametrize(("format", "count"), [("md", 400), ("csv", 200), ("json", 50), ("html", 6)])
def test_no_field_that_is_gone_or_of_another_type_ends_in_a_traceback(format: str, count: int) -> None:
    import sample_study

    from trimwatt.commands import report
    from trimwatt.errors import InputError

    study = sample_study.sample()
    for path, how in random.Random(count).sample(spoil_each(study), count):
        changed = spoilt(study, path, how)
        try:
            assert report._rendered(changed, format, raw=False, path=Path("study.json"))
        except InputError as refused:
            assert "study.json is not a study" in str(refused) and "\n" not in str(refused), (path, how)
