"""The command line in study.json is the one that ran, but for the folders of files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trimwatt.study import host


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str] | None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/trimwatt", *words])
    return host._command()


def test_words_that_are_no_paths_stand_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "optimize",
        "d.csv",
        "--target",
        "</title>x",
        "--target",
        "km/h",
        "--metric=a/b",
        "--max-drop",
        "-1",
        "--x",
    ]
    assert command(monkeypatch, *words, "a\nb/c", "/no/such/place", "") == [
        "trimwatt", *words, "a\nb/c", "/no/such/place", "",
    ]  # fmt: skip


def test_folders_of_what_is_there_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "d.csv").write_text("a\n1\n")
    monkeypatch.chdir(tmp_path)
    given = [
        f"{tmp_path}/d.csv",
        f"--output={tmp_path}/out",
        "-o",
        "./out",
        f"-o{tmp_path}/out",
        f"--a=b={tmp_path}/out",
    ]
    assert command(monkeypatch, "optimize", *given) == [
        "trimwatt", "optimize", "d.csv", "--output=out", "-o", "out", "-oout", f"--a=b={tmp_path}/out",
    ]  # fmt: skip


def test_another_program_s_command_line_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/script.py", "secret"])
    assert host._command() is None
