"""The options of a study, as Python, the command line and its help show them: the same names and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer.main
import typer.testing

import trimwatt as tw
from trimwatt.commands import _fields, _study, app, main
from trimwatt.study.option import Option, describe
from trimwatt.study.options import Options

# what was public before there was one class of options, and stays
DEFAULTS: dict[str, dict[str, Any]] = {
    "What is given": {
        "target": None, "split": None, "group": None, "time": None, "val_from": "train", "task": "auto",
        "outputs": None, "classes": None, "train": False,
    },
    "What must hold": {
        "metric": None, "positive": None, "max_drop": 0.01, "floor": None, "strict": False, "bold": False,
        "max_latency": None, "max_size": None, "max_memory": None,
    },
    "How it will be asked": {"batch_size": 1, "threads": 1, "request": None},
    "The search": {
        "budget": "10min", "baseline": None, "techniques": "all", "reference": "best", "refit": "train+val", "seed": 0,
    },
    "Output": {"output": None, "resume": False, "force": False},
}  # fmt: skip


def _command() -> dict[str, Any]:
    """The options of `trimwatt optimize` by name."""
    group: Any = typer.main.get_command(app)
    return {parameter.name: parameter for parameter in group.commands["optimize"].params}


def test_the_command_line_keeps_its_options_with_panel_and_default() -> None:
    found = _command()
    for panel, options in DEFAULTS.items():
        for name, default in options.items():
            option = found[name]
            assert (option.rich_help_panel, option.default, option.is_flag) == (panel, default, default is False)
            assert f"--{name.replace('_', '-')}" in option.opts and option.help
    assert found["output"].opts == ["-o", "--output"]


def test_python_keeps_its_parameters_with_their_defaults() -> None:
    taken = inspect.signature(tw.optimize).parameters
    for options in DEFAULTS.values():
        for name, default in options.items():
            assert (taken[name].kind, taken[name].default) == (inspect.Parameter.KEYWORD_ONLY, default)
    assert taken["model"].default is None and taken["data"].default is inspect.Parameter.empty


def test_there_is_an_option_for_each_field_of_the_class_and_three_more() -> None:
    own = {field.name: field.default for field in describe(Options) if field.option.panel}
    # what may be given again is a list there
    own = {name: list(default) if isinstance(default, tuple) else default for name, default in own.items()}
    found = {name: option.default for name, option in _command().items()}
    assert set(found) == {*own, "data_or_model", "data", "json"} and own.items() <= found.items()
    assert found["json"] is False and found["data"] is None


@dataclass(frozen=True, kw_only=True)
class More(Options):
    """Options as additions would declare them."""

    recipes: Annotated[Sequence[str], Option("The search", "Beside `techniques`.", "", "TEXT", "--recipe")] = ()
    horizon: Annotated[int | None, Option("What is given", "Steps.", value="STEPS")] = None


@pytest.mark.parametrize(("words", "recipes"), [([], ()), (["--recipe", "a + b", "--recipe", "c"], ("a + b", "c"))])
def test_a_field_that_is_added_is_an_option_with_its_help(words: list[str], recipes: tuple[str, ...]) -> None:
    given: list[More] = []

    @_fields.takes(More)
    def ask(name: str, *, json: bool = False, **options: Any) -> None:
        given.append(More(**options))

    small = typer.Typer(add_completion=False, rich_markup_mode=None)
    small.command()(ask)
    runner = typer.testing.CliRunner()
    assert runner.invoke(small, ["x", "--horizon", "3", "--max-size", "1kB", "--train", *words]).exit_code == 0
    assert given == [More(recipes=recipes, horizon=3, max_size="1kB", train=True)]
    shown = " ".join(runner.invoke(small, ["--help"], env={"COLUMNS": "200"}).output.split())
    assert "--recipe TEXT Beside --techniques." in shown and "--horizon STEPS Steps." in shown


def test_the_options_of_a_command_reach_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as it was given, model and data apart."""
    taken: list[Any] = []
    monkeypatch.setattr(_study, "run", lambda verb, ask, as_json: taken.extend([verb, *ask(), as_json]))
    given = {
        "--target": "t", "--val-from": "test", "--max-drop": "0.2", "--max-memory": "1MB", "--threads": "2",
        "--request": "dict", "--budget": "3trials", "-o": "out", "--classes": "names.json", "--positive": "yes",
    }  # fmt: skip
    words = [word for pair in given.items() for word in pair]
    with pytest.raises(SystemExit):
        main(["optimize", "net.onnx", "--data", "rows.csv", *words, "--bold", "--force", "--json"])
    asked = Options(
        target="t", val_from="test", max_drop=0.2, max_memory="1MB", threads=2, request="dict", budget="3trials",
        output="out", classes="names.json", positive="yes", bold=True, force=True,
    )  # fmt: skip
    assert taken == ["optimize", "net.onnx", "rows.csv", asked, True]


def test_help_lists_what_registries_know_and_asks_them_only_then(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("trimwatt.tasks.names", lambda: asked.append(True) or ("classification", "zither"))
    monkeypatch.setattr("trimwatt.study.candidate.technique_names", lambda: asked.append(True) or ("leantree",))
    assert run("--help")[0] == run("--version")[0] == 0 and not asked
    code, out, _ = run("optimize", "--help")
    assert code == 0 and "zither" in out and "mase" in out and "leantree" in out
