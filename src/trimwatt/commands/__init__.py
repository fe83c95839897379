"""The command line. Each verb is a file; nothing here or there loads a framework before it is needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from trimwatt import _signals
from trimwatt.commands import (
    _debugging,
    _failures,
    _fields,
    _output,
    _streams,
    _study,
    check,
    compare,
    demo,
    doctor,
    measure,
    optimize,
    predict,
    report,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="trimwatt",
    help="Finds the model that does the job for the least energy, and proves it.",
    epilog="`trimwatt VERB --help` tells more; try `trimwatt demo` first.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command(cls=_fields.Command, short_help="Find the model that does the job for the least energy.")(optimize.optimize)
app.command(
    short_help="Read the energy of a command or a running process.",
    # what stands behind the command's name is its own
    context_settings={"allow_interspersed_args": False},
)(measure.measure)
app.command(short_help="Say which of two commands, or of several artifacts, takes less.")(compare.compare)
app.command(short_help="Hold energy budgets, alone or against another commit.")(check.check)
app.command(short_help="Build the report of a study again.")(report.report)
app.command(cls=predict.Command, short_help="Predict with a delivered model.")(predict.predict)
app.command(short_help="Say which energy sensors there are, and what opens them.")(doctor.doctor)
app.command(short_help="Show a whole study in about a minute.")(demo.demo)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        _output.write(f"trimwatt {metadata.version('trimwatt')}\n")
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
    input, 3 a required sensor is absent, 4 inconclusive under --strict, 5 a bug, 130 interrupted.
    """
    _study.is_process = arguments is None
    given, debug = _debugging.without(sys.argv[1:] if arguments is None else arguments, _valued_of_measure)
    with _streams.standing() as out:
        code = _run(given, debug)
        out.flush()
        if out.lost is not None:
            _output.say(f"trimwatt: the output could not be written: {out.lost.strerror}; direct it elsewhere")
            code = code or 2
    sys.exit(code)


def _run(given: list[str], debug: bool) -> int:
    """The exit code of the command line `given`; whatever goes wrong is one line on stderr."""
    try:
        with _signals.as_interrupts():
            return _invoke(given or ["--help"])
    except KeyboardInterrupt:
        _output.say("trimwatt: interrupted")
        return 130
    except Exception as error:
        if debug:
            _output.say(_failures.trace(error))
        return _failures.tell(error, debug, given)


def _invoke(given: list[str]) -> int:
    """Run a verb; typer's own `main` would turn a full disk and a bug of ours into the code of a failed gate."""
    group = _group()
    try:
        with group.make_context("trimwatt", given) as context:
            code = group.invoke(context)
    except typer.Exit as end:
        code = end.exit_code
    except SystemExit as end:
        code = end.code
    return code if isinstance(code, int) else 0


def _group() -> Any:
    """The verbs; their own help is drawn in panels, while the list of verbs stays free of what that imports."""
    group: Any = typer.main.get_command(app)
    for verb in group.commands.values():
        verb.rich_markup_mode = "rich"
    return group


def _valued_of_measure() -> set[str]:
    """The options of `measure` that take a value."""
    options = _group().commands["measure"].params
    return {name for option in options if not getattr(option, "is_flag", True) for name in option.opts}
