"""What the readers of other meters' logs share."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from trimwatt.energy import Energy, Reading
from trimwatt.errors import InputError


@dataclass(frozen=True)
class LoggedRun:
    """One run out of another meter's log.

    reading: in joules and seconds. project, started: as the log has them, "" where it has none.
    grams_co2e: what the log says, by an intensity of its own choosing; None where it says nothing.
    """

    reading: Reading
    project: str = ""
    started: str = ""
    grams_co2e: float | None = None

    def warned(self, note: str) -> LoggedRun:
        """This run with one more warning in its reading."""
        return dataclasses.replace(
            self, reading=dataclasses.replace(self.reading, warnings=(*self.reading.warnings, note))
        )


def guessed(joules: float, factor: float) -> Energy:
    """An estimate that is right to within `factor` >= 1 either way."""
    return Energy(joules, joules / factor, joules * factor, "estimated")


def text(path: Path, kind: str) -> str:
    """The text of a log; raises InputError where it cannot be read as text."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"there is no {path}; name {kind}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}; name {kind}") from error
