"""Whose fault an error is: the machine's and the user's are code 2 with what to do, ours keep their traceback."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from trimwatt.commands import _debugging, _failures, _valued_of_measure

Run = Callable[..., tuple[int, str, str]]


def of(number: int, path: object = None) -> OSError:
    return OSError(number, os.strerror(number), path)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The line about an error, after its code was checked; a bug's traceback must be kept."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def tell(error: Exception, code: int, *given: str) -> str:
        assert _failures.tell(error, given=given) == code
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "had been kept" not in said
        kept = re.findall(r"traceback, which is in (\S+)", said)
        assert len(kept) == (code == 5) and all("Error" in Path(path).read_text() for path in kept)
        return said

    return tell


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO])
@pytest.mark.parametrize("path", [None, "/somewhere/else"])
def test_what_the_machine_lacks_is_said_with_what_to_do(
    told: Callable[..., str], number: int, path: str | None
) -> None:
    said = told(of(number, path), 2)
    assert os.strerror(number) in said and "; " in said


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP])
def test_a_file_that_is_refused_is_the_user_s_and_a_call_is_ours(told: Callable[..., str], number: int) -> None:
    assert "choose another path" in told(of(number, b"/a/file"), 2)
    told(of(number), 5)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EISDIR, errno.ENOTDIR])
def test_a_wrong_path_is_the_user_s_only_where_it_was_named(
    told: Callable[..., str], tmp_path: Path, number: int
) -> None:
    for words in (["report", "a/b.csv"], ["report", f"{tmp_path}/a/b.csv"], ["report", "--data=a/b.csv"]):
        for path in ("a/b.csv", str(tmp_path / "a")):
            assert "check this path" in told(of(number, path), 2, *words)
    told(of(number, "a/b.csv.part"), 5, "report", "a/b.csv")
    told(of(number, "a/b"), 5, "report", "a/b.csv")
    told(of(number), 5, "report", "a/b.csv")
    told(of(number, 7), 5, "report", "a/b.csv")


@pytest.mark.parametrize("number", [errno.EBADF, errno.ESRCH, errno.ECHILD, errno.EPIPE, errno.EDEADLK, 9999, None])
def test_any_other_is_a_bug(told: Callable[..., str], number: int | None) -> None:
    told(OSError(number, "text", "a.csv") if number else OSError("no number"), 5, "report", "a.csv")


def test_a_current_folder_that_is_gone_is_said(told: Callable[..., str], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert "the current folder was removed" in told(of(errno.ENOENT), 2)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report measure --debug", "report measure"),
        ("--debug report measure", "report measure"),
        ("optimize data.csv --target measure --debug", "optimize data.csv --target measure"),
        ("predict --debug a measure", "predict a measure"),
        ("compare --debug -- measure --debug", "compare -- measure --debug"),
        ("--debug measure -- x --debug", "measure -- x --debug"),
        ("measure --debug -- x --debug", "measure -- x --debug"),
        ("measure --debug -r 3 -o out --json x --debug", "measure -r 3 -o out --json x --debug"),
        ("measure -r 3 --debug --runs=2 x --debug -- --debug", "measure -r 3 --runs=2 x --debug -- --debug"),
        ("measure --pid 7 --debug", "measure --pid 7"),
        ("--debug", ""),
        ("--debug --", "--"),
    ],
)
def test_debug_works_after_any_verb_but_not_in_a_command(given: str, kept: str) -> None:
    assert _debugging.without(given.split(), _valued_of_measure) == (kept.split(), True)


@pytest.mark.parametrize(
    "given", ["measure x --debug", "measure -- x --debug", "measure -r 3 x --debug", "", "report -- --debug"]
)
def test_a_word_that_is_not_ours_stays(given: str) -> None:
    assert _debugging.without(given.split(), _valued_of_measure) == (given.split(), False)


def test_the_line_itself_after_a_word_called_measure(run: Run) -> None:
    code, _, err = run("report", "measure", "--debug")
    assert code == 2 and err.startswith("Traceback") and "No such option" not in err
