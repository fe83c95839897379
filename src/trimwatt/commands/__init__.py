"""The command line. Each verb is a file; nothing here or there loads a framework before it is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from trimwatt.commands import _study, check, compare, demo, doctor, measure, optimize, predict, report
from trimwatt.errors import TrimwattError

__all__ = ["app", "main"]

app = typer.Typer(
    name="trimwatt",
    help="Finds the model that does the job for the least energy, and proves it.",
    epilog="`trimwatt VERB --help` tells more; try `trimwatt demo` first.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command(short_help="Find the model that does the job for the least energy.")(optimize.optimize)
app.command(
    short_help="Read the energy of a command or a running process.",
    # what stands behind the command's name is its own
    context_settings={"allow_interspersed_args": False},
)(measure.measure)
app.command(short_help="Say which of two commands, or of several artifacts, takes less.")(compare.compare)
app.command(short_help="Hold energy budgets, alone or against another commit.")(check.check)
app.command(short_help="Build the report of a study again.")(report.report)
app.command(short_help="Predict with a delivered model.")(predict.predict)
app.command(short_help="Say which energy sensors there are, and what opens them.")(doctor.doctor)
app.command(short_help="Show a whole study in about a minute.")(demo.demo)

# every error of the command line's own parser
_Refused = typer.BadParameter.__mro__[2]


def _print_version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        typer.echo(f"trimwatt {metadata.version('trimwatt')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; works after any verb.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code.

    arguments: those after the program's name, sys.argv's by default. Exit codes: 0 ok, 1 a gate failed, 2 usage or
    input, 3 a required sensor is absent, 4 inconclusive under --strict, 130 interrupted.
    """
    _study.is_process = arguments is None
    given, debug = _without_debug(list(sys.argv[1:] if arguments is None else arguments))
    try:
        code = _group().main(given or ["--help"], prog_name="trimwatt", standalone_mode=False)
    except BrokenPipeError:
        # whoever read our output has left; the interpreter must not complain about it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if debug or not isinstance(error, TrimwattError | _Refused):
            raise
        code = _say(error)
    sys.exit(code if isinstance(code, int) else 0)


def _group() -> Any:
    """The verbs; their own help is drawn in panels, while the list of verbs stays free of what that imports."""
    group: Any = typer.main.get_command(app)
    for verb in group.commands.values():
        verb.rich_markup_mode = "rich"
    return group


def _without_debug(given: list[str]) -> tuple[list[str], bool]:
    """The arguments without --debug, which may stand after the verb too, but not in a command to measure."""
    marks = [given.index(mark) for mark in ("--", "measure") if mark in given]
    end = marks[0] if marks else len(given)
    kept = [argument for argument in given[:end] if argument != "--debug"]
    return kept + given[end:], len(kept) < end


def _say(error: Exception) -> int:
    """One line on stderr, and the exit code that belongs to it."""
    message = str(getattr(error, "format_message", error.__str__)())
    if not message:
        return int(getattr(error, "exit_code", 2))
    context = getattr(error, "ctx", None)
    hint = f"; see `{context.command_path} --help`" if context is not None else ""
    print(f"trimwatt: {' '.join(message.split()).removesuffix('.')}{hint}", file=sys.stderr)
    return int(getattr(error, "exit_code", 2))
