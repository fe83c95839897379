"""Every error of trimwatt.

TrimwattError
├── InputError       exit 2   what was given cannot be used
│   ├── MissingExtra exit 2   an optional package is not installed
│   └── OptionError  exit 2   an option has a value that cannot be used
├── GateFailed       exit 1   a floor or budget was not met
├── SensorAbsent     exit 3   a required sensor is not there
├── Inconclusive     exit 4   the interval straddles the limit, under --strict
└── TrialFailed       exit 2   one candidate cannot be made; the study goes on
    └── TrialStopped          it took more time than it was given
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar


class TrimwattError(Exception):
    """Base of all errors; `exit_code` is what the command line ends with, 1 for a gate alone."""

    exit_code: ClassVar[int] = 2


class InputError(TrimwattError, ValueError):
    """What was asked, what came, what is allowed, what to do next: in one line."""

    exit_code = 2


class MissingExtra(InputError, ImportError):
    """An optional package is missing; the message holds the exact install command."""


class OptionError(InputError):
    """An option has a value that cannot be used.

    template: the message, options in it as `name`, values as in a format string. values: those that came.
    """

    def __init__(self, template: str, *values: object) -> None:
        self.template, self.values = template, values
        super().__init__(self.spell(str))

    def spell(self, how: Callable[[str], str]) -> str:
        """The message with each option called as `how(name)` says, such as `flag`."""
        text = spell(self.template, how)
        return text.format(*self.values) if self.values else text


def flag(name: str) -> str:
    """An option as the command line calls it: --max-drop for max_drop."""
    return f"--{name.replace('_', '-')}"


def spell(text: str, how: Callable[[str], str], mark: str = "") -> str:
    """`text` with each `name` in backticks replaced by `how(name)`, and ``code`` in two of them put between `mark`."""
    return re.sub("``(.+?)``|`(\\w+)`", lambda found: f"{mark}{found[1]}{mark}" if found[1] else how(found[2]), text)


class GateFailed(TrimwattError):
    """A budget was broken, or nothing met the floor."""

    exit_code = 1


class SensorAbsent(TrimwattError):
    """A sensor that was required is not readable here."""

    exit_code = 3


class Inconclusive(TrimwattError):
    """The evidence does not settle the question, and `--strict` was asked."""

    exit_code = 4


class TrialFailed(TrimwattError):
    """This candidate cannot be made or exported; the message becomes the trial's reason."""


class TrialStopped(TrialFailed):
    """This candidate took more time than it was given; it may be tried again with more."""


def first_line(error: BaseException, most: int = 300, *, named: bool = False) -> str:
    """What an error of another library says, in one line of at most `most` characters: its first one with text.

    named: after the name of its type, which alone stands for an error that says nothing.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    name = type(error).__name__
    if not lines:
        return name
    return f"{name}: {lines[0][:most]}" if named else lines[0][:most]
