"""The option --debug: it may stand before the verb or after it, but not in a command to measure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

_OPTION = "--debug"


def without(given: Sequence[str], valued: Callable[[], Collection[str]]) -> tuple[list[str], bool]:
    """The arguments without --debug, and whether it was there.

    valued: the options of `measure` that take a value, which is no command yet.
    """
    end = _end(given, valued)
    kept = [word for word in given[:end] if word != _OPTION]
    return [*kept, *given[end:]], len(kept) < end


def _end(given: Sequence[str], valued: Callable[[], Collection[str]]) -> int:
    """Where our own words end: at "--", or where the command of `measure` begins."""
    verb = _first(given, 0, ())
    if verb == len(given) or given[verb] == "--":
        return verb
    if given[verb] == "measure":
        return _first(given, verb + 1, valued())
    return given.index("--") if "--" in given else len(given)


def _first(given: Sequence[str], start: int, valued: Collection[str]) -> int:
    """The place of the first word from `start` on that is neither an option nor its value, or of "--"."""
    place = start
    while place < len(given) and given[place].startswith("-") and given[place] != "--":
        place += 2 if given[place] in valued else 1
    return min(place, len(given))
