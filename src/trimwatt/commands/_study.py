"""Runs a study for a verb: live progress on stderr, the outcome on stdout, report and card in its folder."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from trimwatt.commands import _output
from trimwatt.study.options import Options

# whether this process is the command itself, so that its start counts, and not another program that calls it
is_process = False


def run(verb: str, ask: Callable[[], tuple[Any, Any, Options]], *, as_json: bool) -> None:
    """Run the study of the model, data and options that `ask` returns, tell what came out, and end with its code."""
    from trimwatt.study.start import Start

    start = Start.of_process() if is_process else Start.now()
    from trimwatt import _api
    from trimwatt.report.live import Live

    try:
        with Live() as live:
            model, data, options = ask()
            done = _api.run(model, data, replace(options, progress=live), start)
    except KeyboardInterrupt as stop:
        raise typer.Exit(_interrupted(live.kept, verb)) from stop
    tell(done.to_dict(), done.folder, done.pages, as_json=as_json)
    if is_process:
        # the interpreter would walk every object of the frameworks before it ends, for a third of a CPU second
        gc.freeze()
    raise typer.Exit(done.exit_code)


def _interrupted(candidates: Collection[Any], verb: str) -> int:
    """Say how many candidates were kept, and how to go on."""
    count = len(candidates)
    kept = f"{count} finished candidate{'s' * (count != 1)} kept" if count else "nothing was finished"
    again = "; the same command with --resume goes on" if count and verb == "optimize" else ""
    _output.say(f"trimwatt: interrupted, {kept}{again}")
    return 130


def tell(study: dict[str, Any], folder: Path, pages: Sequence[Path], *, as_json: bool) -> None:
    """Print the outcome, and say where the files are."""
    if as_json:
        _output.print_json(study)
        return
    from rich.console import Console

    from trimwatt.report import terminal

    console = Console(highlight=False)
    console.print(terminal.outcome(study))
    console.print(
        terminal.places([folder / "study.json", *pages[:1]], folder / "artifact", study.get("artifact_digest")),
        soft_wrap=True,
    )
