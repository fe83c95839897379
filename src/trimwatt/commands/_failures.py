"""What a command says when it cannot go on: one line, and the exit code that belongs to it."""

from __future__ import annotations

import errno
import os
import tempfile
import traceback
from collections.abc import Sequence

import typer

from trimwatt._printable import one_line
from trimwatt.commands import _fields, _output
from trimwatt.errors import OptionError, TrimwattError

# every error of the command line's own parser
_Refused = typer.BadParameter.__mro__[2]
BUG = 5
# what the machine lacks, wherever that shows, and what to do
_NO_ROOM = {
    **dict.fromkeys(("ENOSPC", "EDQUOT", "EFBIG"), "make room there, or write elsewhere"),
    **dict.fromkeys(("EMFILE", "ENFILE"), "raise the limit of open files (`ulimit -n`)"),
    "ENOMEM": "end what else takes memory",
    "EIO": "check this disk",
}
# what the system refuses of a file; without a file, of a call of ours
_REFUSED = {
    **dict.fromkeys(("EACCES", "EPERM", "EROFS"), "change its permissions, or choose another path"),
    **dict.fromkeys(("ENAMETOOLONG", "ELOOP"), "choose another path"),
}
# these are the user's only where he named the path
_WRONG_PATH = ("ENOENT", "EISDIR", "ENOTDIR", "EEXIST", "ENOTEMPTY", "ENXIO", "EINVAL")


def tell(error: Exception, debug: bool = False, given: Sequence[str] = ()) -> int:
    """Print one line about `error` on stderr and return its exit code; a bug's traceback is kept in a file.

    What the user, the disk or the memory causes is code 2, or the code of its own kind; all else is a bug of ours.
    given: the words of the command line, among which are the paths that the user named.
    """
    message, code = _plain(error, given) or (_bug(error, debug), BUG)
    if message:
        _output.say(f"trimwatt: {one_line(message).removesuffix('.')}")
    return code


def trace(error: Exception) -> str:
    """The traceback of `error`."""
    return "".join(traceback.format_exception(error)).rstrip("\n")


def _plain(error: Exception, given: Sequence[str]) -> tuple[str, int] | None:
    """What to say of an error that is no bug, and its exit code."""
    if isinstance(error, OptionError):
        return error.spell(_fields.spell_name), error.exit_code
    if isinstance(error, TrimwattError):
        return str(error), error.exit_code
    if isinstance(error, _Refused):
        context = getattr(error, "ctx", None)
        hint = f"; see `{context.command_path} --help`" if context is not None else ""
        message = str(error.format_message()).removesuffix(".")  # type: ignore[attr-defined]
        return (f"{message}{hint}" if message else ""), int(getattr(error, "exit_code", 2))
    if isinstance(error, MemoryError):
        return "memory ran out; give fewer rows, or end what else takes memory", 2
    if isinstance(error, OSError):
        return _of_system(error, given)
    return None


def _of_system(error: OSError, given: Sequence[str]) -> tuple[str, int] | None:
    """What to say of an error of the system that user or machine causes; None where it must be a bug of ours."""
    name = errno.errorcode.get(error.errno or 0, "")
    if name == "ENOENT" and error.filename is None and (lack := _lacking()):
        return lack, 2
    if name in _NO_ROOM:
        remedy = _NO_ROOM[name]
    elif name in _REFUSED and error.filename is not None:
        remedy = _REFUSED[name]
    elif name in _WRONG_PATH and _is_named(error.filename, given):
        remedy = "check this path"
    else:
        return None
    where = f"{_shown(error.filename)}: " if error.filename is not None else ""
    return f"{where}{error.strerror or os.strerror(error.errno or 0)}; {remedy}", 2


def _lacking() -> str | None:
    """Which folder that every program takes for granted is not there."""
    try:
        os.getcwd()
    except OSError:
        return "the current folder was removed; change to another one"
    try:
        tempfile.gettempdir()
    except OSError:
        return "there is no folder for temporary files that can be written to; make room, or set TMPDIR"
    return None


def _is_named(path: object, given: Sequence[str]) -> bool:
    """Whether the command line names `path`, or something below it."""
    if not isinstance(path, str | bytes | os.PathLike) or _lacking():
        return False
    place = os.path.abspath(os.fsdecode(path))
    words = (os.path.abspath(word.partition("=")[2] if word.startswith("--") else word) for word in given)
    return any(word == place or word.startswith(place.rstrip(os.sep) + os.sep) for word in words)


def _shown(path: object) -> str:
    return os.fsdecode(path) if isinstance(path, bytes) else str(path)


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
