"""Text from outside, made safe to print: a name in a file must not steer a terminal.

Control characters (ESC, BEL, the C1 set), bidirectional overrides and what has no width are not printable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_PLAIN = re.compile(r"[^\n -~]")


def one_line(value: Any) -> str:
    """`value` on one line: what is not printable becomes a space, and spaces in a row become one."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())


def shown(value: object, most: int = 60) -> str:
    """`value` as one short line for a message."""
    text = value if isinstance(value, str) else repr(value)
    text = one_line(text)
    return text if len(text) <= most else text[: most - 3] + "..."


def listed(names: Iterable[Any], most: int = 12) -> str:
    """Names with commas, cut after `most`."""
    all_names = [shown(str(name), 40) for name in names]
    rest = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {rest} more" if rest > 0 else "")


def visible(value: Any) -> str:
    """`value` with all its spaces and line ends; what else is not printable is written as an escape, `\\x1b`."""
    return _PLAIN.sub(lambda found: found[0] if found[0].isprintable() else _escape(found[0]), str(value))


def json_text(value: Any, indent: int | None = 2) -> str:
    """`value` as JSON for people and programs: letters as they are, what is not printable as `\\u001b`.

    Raises ValueError for NaN and infinity, which JSON does not have.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return _PLAIN.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
