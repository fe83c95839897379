"""Small checks and words that every kind of input shares."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from trimwatt._printable import listed as listed
from trimwatt._printable import shown as shown
from trimwatt.errors import InputError
from trimwatt.host import memory

MAX_SIDE_PIXELS = 4096
_LEAST_MEMORY_BYTES = 256 * 2**20


def type_name(value: object) -> str:
    """The type of `value` with the package it is from, for a message."""
    kind = type(value)
    return shown(kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}")


def near(name: str, known: Iterable[str]) -> str:
    """A hint such as "; did you mean 'income'?", or nothing."""
    by_case = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), by_case, n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(by_case[c]) for c in close)}?" if close else ""


def memory_limit() -> int:
    """Bytes that one input may take once unfolded: a quarter of what is available now."""
    return max(_LEAST_MEMORY_BYTES, memory.free_bytes() // 4)


def check_fits(size_bytes: int, what: str) -> None:
    """Raises InputError where `size_bytes` is more than this machine should hold."""
    limit = memory_limit()
    if size_bytes > limit:
        raise InputError(
            f"{what} unfolds to {size_bytes / 2**20:,.0f} MiB, at most {limit / 2**20:,.0f} MiB fit here; "
            "give fewer or smaller rows"
        )


def check_sides(height: int, width: int, what: str) -> None:
    """Raises InputError for images without pixels or of absurd size."""
    if not (1 <= height <= MAX_SIDE_PIXELS and 1 <= width <= MAX_SIDE_PIXELS):
        raise InputError(
            f"{what} is {width} x {height} pixels; sides of 1 to {MAX_SIDE_PIXELS} are allowed; resize the images"
        )
