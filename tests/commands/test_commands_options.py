"""The options of a study, as Python, the command line and its help show them: the same names and defaults."""

from __future__ import annotations

import inspect
from typing import Any

import typer.main

from trimwatt.commands import app

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
    from trimwatt.study.study import optimize

    taken = inspect.signature(optimize).parameters
    for options in DEFAULTS.values():
        for name, default in options.items():
            assert (taken[name].kind, taken[name].default) == (inspect.Parameter.KEYWORD_ONLY, default)
    assert taken["model"].default is None and taken["data"].default is inspect.Parameter.empty
