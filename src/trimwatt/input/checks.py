"""Small checks and words that every kind of input shares."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from trimwatt._printable import one_line
from trimwatt.errors import InputError
from trimwatt.host import memory

MAX_SIDE_PIXELS = 4096
_LEAST_MEMORY_BYTES = 256 * 2**20


def shown(value: object, most: int = 60) -> str:
    """`value` as one short line for a message."""
    text = value if isinstance(value, str) else repr(value)
    text = one_line(text)
    return text if len(text) <= most else text[: most - 3] + "..."


def type_name(value: object) -> str:
    """The type of `value` with the package it is from, for a message."""
    kind = type(value)
    return shown(kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}")


def listed(names: Iterable[Any], most: int = 12) -> str:
    """Names with commas, cut after `most`."""
    all_names = [shown(str(name), 40) for name in names]
    rest = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {rest} more" if rest > 0 else "")


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
