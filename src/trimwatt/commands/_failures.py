"""What a command says when it cannot go on: one line, and the exit code that belongs to it."""

from __future__ import annotations

import os
import tempfile
import traceback

import typer

from trimwatt._printable import one_line
from trimwatt.commands import _output
from trimwatt.errors import TrimwattError

# every error of the command line's own parser
_Refused = typer.BadParameter.__mro__[2]
BUG = 5


def tell(error: Exception, debug: bool = False) -> int:
    """Print one line about `error` on stderr and return its exit code; a bug's traceback is kept in a file.

    What the user, the disk or the memory causes is code 2, or the code of its own kind; all else is a bug of ours.
    """
    message, code = _plain(error) or (_bug(error, debug), BUG)
    if message:
        _output.say(f"trimwatt: {one_line(message).removesuffix('.')}")
    return code


def trace(error: Exception) -> str:
    """The traceback of `error`."""
    return "".join(traceback.format_exception(error)).rstrip("\n")


def _plain(error: Exception) -> tuple[str, int] | None:
    """What to say of an error that is no bug, and its exit code."""
    if isinstance(error, TrimwattError):
        return str(error), error.exit_code
    if isinstance(error, _Refused):
        context = getattr(error, "ctx", None)
        hint = f"; see `{context.command_path} --help`" if context is not None else ""
        message = str(error.format_message()).removesuffix(".")  # type: ignore[attr-defined]
        return (f"{message}{hint}" if message else ""), int(getattr(error, "exit_code", 2))
    if isinstance(error, MemoryError):
        return "memory ran out; give fewer rows, or end what else takes memory", 2
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror or os.strerror(error.errno)}; nothing was lost that had been kept before", 2
    return None


def _bug(error: Exception, shown: bool) -> str:
    """A line about a bug, with where its traceback was saved, unless it is shown."""
    cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    said = f"internal error, a bug of trimwatt ({one_line(cause)[:300]})"
    if shown:
        return f"{said}; please report it with the traceback above"
    try:
        descriptor, path = tempfile.mkstemp(prefix="trimwatt-error-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(trace(error) + "\n")
    except OSError:
        return f"{said}; its traceback could not be saved, --debug shows it"
    return f"{said}; please report it with its traceback, which is in {path}"
