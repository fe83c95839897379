"""The command line itself: light, one-line errors, honest exit codes, results apart from progress."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str, str]]
HEAVY = (
    "numpy",
    "torch",
    "sklearn",
    "onnx",
    "onnxruntime",
    "pandas",
    "altair",
    "rich",
    "sqlalchemy",
    "jinja2",
    "scipy",
)


def test_help_loads_no_framework_and_not_even_numpy() -> None:
    code = (
        "import sys, trimwatt.commands as c\n"
        "try: c.main(['--help'])\n"
        f"except SystemExit as end: print(end.code, [m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"
    for verb in ("optimize", "report", "predict", "demo"):
        assert verb in done.stdout


@pytest.mark.parametrize("verb", ["optimize", "report", "predict", "demo"])
def test_each_verb_explains_itself(run: Run, verb: str) -> None:
    code, out, _ = run(verb, "--help")
    assert code == 0 and "Usage: trimwatt " + verb in out


def test_no_arguments_are_a_question(run: Run) -> None:
    code, out, _ = run()
    assert code == 0 and "optimize" in out


def test_the_version(run: Run) -> None:
    from trimwatt import __version__

    assert run("--version")[:2] == (0, f"trimwatt {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["optimize"], "Missing argument"),
        (["optimize", "a.csv", "--nonsense"], "No such option: --nonsense"),
        (["optimize", "a.csv", "--batch-size", "many"], "Invalid value for '--batch-size'"),
        (["optimize", "a.csv", "--budget", "a lot"], "write it like 20min, 10kJ, 5Wh or 40trials"),
        (["optimize", "a.csv", "--max-latency", "5"], "write it like 5ms"),
        (["optimize", "a.csv", "--max-size", "5ms"], "write it like 1MB"),
        (["optimize", "a.csv", "--val-from", "thin air"], "--val-from is one of train, test, got 'thin air'"),
        (["optimize", "a.csv", "--request", "pigeon"], "--request is one of array, dict, frame"),
        (["optimize", "a.csv", "--resume", "--force"], "give one of them"),
        (["optimize", "model.onnx"], "add --data DATA"),
        (["optimize", "absent.csv", "--target", "y"], "absent.csv"),
        (["optimize", "model.onnx", "--data", "absent.npz"], "absent.npz"),
        (["report", "."], "give the folder that `trimwatt optimize` wrote"),
        (["report", ".", "--format", "pdf"], "--format is one of html, md, csv, json"),
        (["predict", ".", "rows.csv"], "is no artifact"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("trimwatt: ") and message in err
    assert err.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_debug_shows_where_it_came_from_and_the_code_stays(run: Run) -> None:
    code, _, err = run("optimize", "a.csv", "--budget", "x", "--debug")
    assert code == 2
    assert err.startswith("Traceback") and err.splitlines()[-1].startswith("trimwatt: ")


def test_interrupted_says_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    from trimwatt.commands import _study

    assert _study._interrupted([{"id": "t0"}, {"id": "t1"}], "optimize") == 130
    assert capsys.readouterr().err == (
        "trimwatt: interrupted, 2 finished candidates kept; the same command with --resume goes on\n"
    )
    assert _study._interrupted([], "optimize") == 130
    assert "nothing was finished" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    import sample_study

    (tmp_path / "study.json").write_text(json.dumps(sample_study.sample()))
    command = [sys.executable, "-m", "trimwatt", "report", str(tmp_path), "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode in (0, 1)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A small table of real digits, told as 3 or not."""
    import csv

    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    path = tmp_path / "three.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"p{i}" for i in range(64)), "digit"])
        writer.writerows([*row, "three" if label == 3 else "other"] for row, label in zip(x, y, strict=True))
    return path


@pytest.mark.slow
def test_a_study_from_the_command_line_and_what_follows_it(run: Run, table: Path) -> None:
    options = ["--target", "digit", "--metric", "accuracy", "--techniques", "runtime", "--budget", "1h"]
    code, out, err = run("optimize", table, *options, "--baseline", "linear", "-o", "out", "--json")
    assert code in (0, 1), err
    study: dict[str, Any] = json.loads(out)
    assert study["schema"] == "trimwatt/study/1" and study["baseline"] == study["trials"][0]["id"]
    assert "candidate" in err and "trimwatt:" not in err
    assert {"study.json", "report.html"} <= {path.name for path in Path("out").iterdir()}
    code, _, err = run("optimize", table, *options, "-o", "out")
    assert code == 2 and "--resume" in err and err.count("\n") == 1
    if study["recommended"]:
        assert (Path("out") / "artifact" / "README.md").is_file()
        code, out, _ = run("predict", "out", table)
        assert code == 0 and out.splitlines()[0] == "prediction,probability:other,probability:three"
        assert len(out.splitlines()) == 1 + 1797
