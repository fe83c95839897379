"""trimwatt report: the page again, and the candidates as data."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(run: Run) -> Path:
    import sample_study

    folder = Path("trimwatt-adult")
    folder.mkdir()
    (folder / "study.json").write_text(json.dumps(sample_study.sample()))
    return folder


def test_the_report_is_built_again_in_the_study_s_folder(run: Run, folder: Path) -> None:
    (folder / "report.html").write_text("old")
    assert run("report", folder) == (0, f"{folder / 'report.html'}\n", "")
    assert "Use boosted trees" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_study_that_was_stopped_has_a_report_too(run: Run, folder: Path) -> None:
    import sample_study

    (folder / "study.json").write_text(json.dumps(sample_study.partial()))
    assert run("report", folder)[0] == 0
    assert "No verdict yet" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_file_that_stands_there_is_kept_unless_forced(run: Run, folder: Path) -> None:
    Path("mine.html").write_text("mine")
    code, _, err = run("report", folder, "-o", "mine.html")
    assert code == 2 and "--force" in err and Path("mine.html").read_text() == "mine"
    assert run("report", folder, "-o", "mine.html", "--force")[0] == 0
    assert Path("mine.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_candidates_as_csv_json_and_markdown_on_stdout(run: Run, folder: Path) -> None:
    assert len(list(csv.DictReader(io.StringIO(run("report", folder, "--format", "csv")[1])))) == 13
    assert len(json.loads(run("report", folder, "--format", "json")[1])) == 13
    markdown = run("report", folder / "study.json", "--format", "md")[1]
    assert "| boosted trees, ONNX Runtime (recommended) |" in markdown
    assert [path.name for path in folder.iterdir()] == ["study.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not a study"), ("[1]", "is not a study"), ('{"schema": "else"}', "has schema 'else'")],
)
def test_what_is_no_study_is_refused(run: Run, folder: Path, text: str, message: str) -> None:
    (folder / "study.json").write_text(text)
    code, _, err = run("report", folder)
    assert code == 2 and message in err and err.count("\n") == 1


def test_a_folder_that_is_absent_is_not_made(run: Run, folder: Path) -> None:
    code, _, err = run("report", folder, "-o", "absent/report.html")
    assert code == 2 and "does not exist" in err and not Path("absent").exists()


def keep(folder: Path, trials: int, floor: float | None = None) -> None:
    """What a killed study leaves: a database, and no study.json."""
    import sample_study

    from trimwatt.store import open_store

    study = sample_study.sample()
    options = {"max_drop": 0.01, "floor": floor, "scenario": study["scenario"]}
    store = open_store(folder)
    store.save_study({"options": options, "data": study["data"], "metric": "f1"})
    for number, trial in enumerate(study["trials"][:trials]):
        store.add_trial(trial, study["ledger"][number : number + 1])
    store.close()


def test_a_killed_study_is_read_from_its_database(run: Run, folder: Path) -> None:
    (folder / "study.json").unlink()
    keep(folder, 3)
    assert run("report", folder)[0] == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "the study ended early with 3 candidates measured" in page
    assert "f1 at least 0.719" in page and "floor 0.719" in page
    assert len(json.loads(run("report", folder, "--format", "json")[1])) == 3


def test_a_killed_study_keeps_the_floor_it_was_given(run: Run, folder: Path) -> None:
    (folder / "study.json").unlink()
    keep(folder, 1, floor=0.7)
    assert "f1 at least 0.700" in run("report", folder, "--format", "html", "-o", "-x.html")[1] + (
        Path("-x.html").read_text(encoding="utf-8")
    )


def test_a_study_killed_before_its_first_trial_has_nothing_to_tell(run: Run, folder: Path) -> None:
    (folder / "study.json").unlink()
    keep(folder, 0)
    code, _, err = run("report", folder)
    assert code == 2 and err.count("\n") == 1
