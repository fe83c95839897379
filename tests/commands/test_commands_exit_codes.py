"""The table of exit codes, each by a real command; a reader that leaves, a full disk and a bug among them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TRIMWATT = [sys.executable, "-m", "trimwatt"]
Run = Callable[..., tuple[int, str, str]]
posix = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


def trimwatt(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    given = [*TRIMWATT, *(str(word) for word in words)]
    return subprocess.run(given, **{"capture_output": True, "text": True, "timeout": 120, **options})


@pytest.fixture
def study(tmp_path: Path) -> Path:
    import sample_study

    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "study.json").write_text(json.dumps(sample_study.sample()))
    return folder


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Recorded runs that settle nothing."""
    path = tmp_path / "runs.csv"
    rows = [f"{arm},{joules}" for arm in "ab" for joules in (9.0, 12.5, 10.0, 11.0, 9.5, 13.0)]
    path.write_text("\n".join(["arm,energy_J", *rows]) + "\n")
    return path


def recorded(log: Path) -> list[object]:
    return ["compare", "--from-csv", log, "--arm", "arm", "--a", "a", "--b", "b", "--value", "energy_J"]


@pytest.fixture
def broken_budget(tmp_path: Path) -> Path:
    """A check whose command surely takes more time than it may."""
    spin = "import time; time.sleep(0.05)"
    config = tmp_path / "pyproject.toml"
    config.write_text(f"[tool.trimwatt.check.busy]\ncommand = [{sys.executable!r}, '-c', {spin!r}]\nlatency = '1ms'\n")
    return config


def test_0_done() -> None:
    assert trimwatt("--version").returncode == 0


def test_1_a_gate_failed(broken_budget: Path) -> None:
    done = trimwatt("check", "--config", broken_budget, "--budget", "20s", "--pairs", "5")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_2_what_was_given_cannot_be_used(tmp_path: Path) -> None:
    done = trimwatt("optimize", tmp_path / "absent.csv", "--target", "y")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_3_a_required_sensor_is_absent() -> None:
    if json.loads(trimwatt("doctor", "--json").stdout)["today"]["label"] == "measured":
        pytest.skip("this machine measures")
    done = trimwatt("doctor", "--require", "measured", "--json")
    assert done.returncode == 3
    assert done.stderr.startswith("trimwatt: ") and done.stderr.count("\n") == 1


def test_4_inconclusive_under_strict(log: Path) -> None:
    assert trimwatt(*recorded(log)).returncode == 0
    assert trimwatt(*recorded(log), "--strict").returncode == 4


BUG = (
    "from trimwatt.commands import doctor, main\n"
    "def findings(trace): raise KeyError('a \\x1b[31mred\\x1b[0m key')\n"
    "doctor.findings = findings\nmain({})\n"
)


def test_5_a_bug_is_one_line_that_says_where_its_traceback_is(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", BUG.format(["doctor"])], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1 and "\x1b" not in done.stderr
    where = Path(re.findall(r"which is in (\S+)", done.stderr)[0])
    assert where.parent == tmp_path and where.stat().st_mode & 0o077 == 0
    assert "Traceback" in where.read_text() and "def findings" not in done.stderr


def test_5_a_bug_under_debug_shows_its_traceback_and_writes_no_file(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", BUG.format(["doctor", "--debug"])],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 5 and done.stderr.startswith("Traceback")
    assert list(tmp_path.iterdir()) == []


WAIT = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "for n in (signal.SIGTERM, signal.SIGHUP): signal.signal(n, signal.SIG_DFL)\n"
    "from trimwatt.commands import doctor, main\n"
    "def findings(trace): print('ready', flush=True); time.sleep(60)\n"
    "doctor.findings = findings\nmain(['doctor'])\n"
)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_130_interrupted(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WAIT], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.send_signal(number)
        said = process.stderr.read()
    assert (process.returncode, said) == (130, b"trimwatt: interrupted\n")


@posix
@pytest.mark.parametrize(
    "verb", ["--version", "--help", "doctor", "doctor --json", "measure --json -- true", "report", "compare", "predict"]
)
def test_a_full_disk_behind_stdout_is_one_line_and_code_2(
    verb: str, study: Path, log: Path, delivered: dict[str, Path], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.npz"
    if verb == "predict":
        import numpy as np

        np.savez(rows, x=np.zeros((3, 64), np.float32))
    words = {
        "report": ["report", study, "--format", "csv"], "compare": [*recorded(log), "--json"],
        "predict": ["predict", delivered["digits"], rows],
    }.get(verb, verb.split())  # fmt: skip
    with open("/dev/full", "w") as full:
        done = trimwatt(*words, stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == "trimwatt: the output could not be written: No space left on device; direct it elsewhere\n"


@posix
def test_the_code_of_a_measured_command_goes_before_that_of_a_full_disk() -> None:
    with open("/dev/full", "w") as full:
        done = trimwatt("measure", "--json", "--", "sh", "-c", "exit 7", stdout=full, capture_output=False,
                        stderr=subprocess.PIPE)  # fmt: skip
    assert done.returncode == 7


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("format", ["csv", "json", "md", "html"])
def test_a_reader_that_has_left_is_no_error(study: Path, format: str, stream: str) -> None:
    read, write = os.pipe()
    os.close(read)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: write}
    done = trimwatt("report", study, "--format", format, capture_output=False, **pipes)
    os.close(write)
    assert done.returncode == 0
    assert (done.stderr if stream == "stdout" else done.stdout is not None) == ("" if stream == "stdout" else True)


@pytest.mark.skipif(sys.platform == "win32", reason="closing standard streams is a POSIX shell's")
def test_closed_streams_are_no_error_either(study: Path) -> None:
    line = 'exec "$@" >&- 2>&-'
    done = subprocess.run(
        ["/bin/sh", "-c", line, "sh", *TRIMWATT, "report", str(study), "--format", "csv"], check=False
    )
    assert done.returncode == 0


def test_letters_that_the_terminal_lacks_are_written_as_escapes(study: Path) -> None:
    told = json.loads((study / "study.json").read_text())
    told["trials"][0]["name"] = "日本"
    (study / "study.json").write_text(json.dumps(told))
    done = trimwatt("report", study, "--format", "csv", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and "\\u65e5\\u672c" in done.stdout


HOSTILE = "a\x1b]0;owned\x07\x1b[31m\x9b31m\u202eb"


def test_names_from_data_do_not_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    table.write_text(f"{HOSTILE},b\n1,2\n", encoding="utf-8")
    said = [run("optimize", table)[2], run("optimize", table, "--target", "c")[2]]
    said += [run("predict", tmp_path, HOSTILE)[2], run("report", f"no{HOSTILE}")[2], run(HOSTILE)[2]]
    said += [run("optimize", f"{HOSTILE}.csv", "--target", "y")[2]]
    for text in said:
        assert text.startswith("trimwatt: ") and text.count("\n") == 1
        assert text.rstrip("\n").isprintable()


def test_names_in_a_study_do_not_steer_the_terminal(run: Run, study: Path) -> None:
    told = json.loads((study / "study.json").read_text())
    told["trials"][0].update(name=HOSTILE, reason=HOSTILE, status="failed")
    told |= {"metric": HOSTILE, "verdict": HOSTILE, "warnings": [HOSTILE], "baseline": told["trials"][1]["id"]}
    (study / "study.json").write_text(json.dumps(told))
    for format in ("csv", "md", "json"):
        code, out, _ = run("report", study, "--format", format)
        assert code == 0 and all(line.isprintable() for line in out.split("\n"))
    assert json.loads(run("report", study, "--format", "json")[1])[0]["name"] == HOSTILE


def test_formulas_do_not_run_in_a_spreadsheet_unless_asked(run: Run, study: Path) -> None:
    told = json.loads((study / "study.json").read_text())
    names = ["=1+1", "+1", "-cmd|x", "@SUM(A1)", "\t=1", "\r=1", "plain -1"]
    for trial, name in zip(told["trials"], names, strict=False):
        trial["name"] = name
    (study / "study.json").write_text(json.dumps(told))

    def listed(*more: str) -> list[str]:
        lines = run("report", study, "--format", "csv", *more)[1].splitlines()[1:]
        return [line.split(",")[1] for line in lines[: len(names)]]

    assert listed() == ["'=1+1", "'+1", "'-cmd|x", "'@SUM(A1)", "'=1", "'=1", "plain -1"]
    assert listed("--raw") == ["=1+1", "+1", "-cmd|x", "@SUM(A1)", "=1", "=1", "plain -1"]
    code, _, err = run("report", study, "--format", "md", "--raw")
    assert code == 2 and "--raw goes with --format csv" in err
