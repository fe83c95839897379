"""What pyproject.toml may ask of the gate, and what is refused in a line that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trimwatt.errors import InputError
from trimwatt.gate import config


def parse(**entry: Any) -> config.Check:
    return config.parse({"check": {"x": entry}})[0]


def test_a_whole_check_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(
        """
[project]
name = "other"
[tool.trimwatt]
tolerance = "5%"
[tool.trimwatt.check.train]
command = "python train.py --fast 'a b'"
setup = ["make"]
share = ["data"]
files = ["model.onnx"]
energy = "5 J"
latency = "5 ms"
size = "1 MB"
quality = { metric = "accuracy", floor = 0.9 }
[tool.trimwatt.check.serve]
artifact = "artifact"
data = "rows.csv"
tolerance = 0.1
""",
        encoding="utf-8",
    )
    train, serve = config.read(path)
    assert train.command == ("python", "train.py", "--fast", "a b")
    assert (train.energy, train.latency, train.size, train.tolerance) == (5.0, 0.005, 1e6, 0.05)
    assert train.quality == config.QualityFloor("accuracy", 0.9)
    assert (serve.tolerance, serve.request) == (0.1, "prediction")


@pytest.mark.parametrize("content", ["tool = 3", "[tool]\ntrimwatt = 3", "[tool.trimwatt]\ncheck = 3"])
def test_a_file_of_other_shape_is_refused_in_a_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"tool\.trimwatt"):
        config.read(path)


@pytest.mark.parametrize(("given", "share"), [("2%", 0.02), ("0.5 %", 0.005), (0.03, 0.03), ("0.04", 0.04), (0, 0.0)])
def test_a_tolerance_is_a_share(given: object, share: float) -> None:
    assert parse(command="true", tolerance=given).tolerance == pytest.approx(share)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"command": "true", "enrgy": "5 J"}, "unknown key 'enrgy'; did you mean energy.*allowed: command, callable"),
        ({"command": "true", "callable": "a:b"}, "exactly one of command, callable, artifact"),
        ({"energy": "5 J"}, "exactly one of"),
        ({"command": "true", "energy": 5}, "has a unit and stands in quotes"),
        ({"command": "true", "energy": "5 ms"}, "energy: '5 ms' is not energy"),
        ({"command": "true", "latency": "0 s"}, "above zero"),
        ({"command": "true", "size": "1 MB"}, "size needs files"),
        ({"command": "true", "tolerance": "2"}, "did you mean '2%'"),
        ({"command": "true", "tolerance": True}, "tolerance is a share"),
        ({"command": "python 'x"}, "cannot be split"),
        ({"command": ["python", 3]}, "list of words"),
        ({"callable": "work.busy"}, "package.module:function"),
        ({"artifact": "a"}, "add data"),
        ({"command": "true", "data": "x.csv"}, "data is for an artifact"),
        ({"command": "true", "threads": 0}, "whole number from 1"),
        ({"command": "true", "share": ["../x"]}, "inside the repository"),
        ({"command": "true", "quality": 0.9}, "quality is like"),
        ({"command": "true", "quality": {"metric": "accuracy"}}, "needs floor"),
        ({"command": "true", "quality": {"metric": "accuracy", "flor": 1}}, "did you mean floor"),
        ({"command": "true", "quality": {"metric": "accuracy", "floor": "0.9"}}, "is a number"),
        ({"artifact": "a", "data": "b", "quality": {"metric": "f1", "floor": 0.9}}, "needs target"),
    ],
)
def test_what_cannot_be_used_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(**entry)
    assert "[tool.trimwatt.check.x]" in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "nothing to check"),
        ({"chek": {"x": {"command": "true"}}}, "did you mean check"),
        ({"check": {"x": "true"}}, "is a table of keys"),
        ({"check": {"a b": {"command": "true"}}}, "named with letters"),
    ],
)
def test_a_table_without_checks_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config.parse(table)


def test_a_file_that_is_not_there_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        config.read(tmp_path / "pyproject.toml")
    (tmp_path / "pyproject.toml").write_text("[tool", encoding="utf-8")
    with pytest.raises(InputError, match="not TOML"):
        config.read(tmp_path / "pyproject.toml")
