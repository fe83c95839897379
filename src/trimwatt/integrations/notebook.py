"""`%load_ext trimwatt`: `%%energy` for a cell, `%energy` for a line."""

from __future__ import annotations

import argparse
import shlex
from typing import Any, NoReturn

from trimwatt.energy import Reading
from trimwatt.errors import InputError

USAGE = "%%energy [-r N] [NAME] above a cell, or %energy [-r N] EXPRESSION"
# where the last reading is kept in the notebook's own names
LAST = "_energy"


def load(shell: Any) -> None:
    """Give an IPython shell the magics `%energy` and `%%energy`."""

    def energy(line: str, cell: str | None = None) -> None:
        """Say what a line or a cell took; the reading is then in `_energy`."""
        try:
            runs, rest = _split(line)
        except InputError as error:
            raise _usage_error(str(error)) from None
        code, name = (rest, "") if cell is None else (cell, rest)
        if not code.strip():
            raise _usage_error(f"there is nothing to run; {USAGE}")
        reading, done = _run(shell, code, runs)
        shell.user_ns[LAST] = reading
        _show(name, reading, done)

    shell.register_magic_function(energy, "line_cell", "energy")


def _usage_error(message: str) -> Exception:
    from IPython.core.error import UsageError  # type: ignore[import-not-found,unused-ignore]

    error: Exception = UsageError(message)
    return error


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"%energy: {message}; {USAGE}")


def _split(line: str) -> tuple[int, str]:
    """How often to run, and what stands behind the options."""
    line = line.strip()
    if not line.startswith("-"):
        return 1, line
    parser = _Parser(prog="energy", add_help=False)
    parser.add_argument("-r", type=int, default=1)
    option, _, rest = line.partition(" ")
    value = ""
    if option == "-r":
        value, _, rest = rest.strip().partition(" ")
    runs: int = parser.parse_args([*shlex.split(option), *([value] if value else [])]).r
    if runs < 1:
        raise InputError(f"%energy: -r is a whole number of at least 1, got {runs}; {USAGE}")
    return runs, rest.strip()


def _run(shell: Any, code: str, runs: int) -> tuple[Reading, int]:
    """One reading of `runs` runs, and how many there were: an error, shown as ever, ends them."""
    from trimwatt.meter import session
    from trimwatt.meter.runs import together

    readings = []
    for _ in range(runs):
        window = session.meter()
        with window:
            result = shell.run_cell(code)
        readings.append(window.reading)
        if not result.success:
            break
    return (readings[0] if len(readings) == 1 else together(readings)), len(readings)


def _show(name: str, reading: Reading, runs: int) -> None:
    from IPython.display import display  # type: ignore[import-not-found,unused-ignore]

    display(Shown(name, reading, runs))


class Shown:
    """A reading under a cell: a table in a notebook, text in a terminal."""

    def __init__(self, name: str, reading: Reading, runs: int) -> None:
        self.name, self.reading, self.runs = name, reading, runs

    def _title(self) -> str:
        return self.name + (f" (medians of {self.runs} runs)" if self.runs > 1 else "")

    def __repr__(self) -> str:
        from trimwatt.meter.windows import summary

        title = self._title().strip()
        return "\n".join([*([title] if title else []), summary(self.reading), *self.reading.warnings])

    def _repr_html_(self) -> str:
        return self.reading._repr_html_(self._title().strip())
