"""What an error of another library says, in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import trimwatt
from trimwatt.errors import first_line


@pytest.mark.parametrize(
    ("error", "plain", "named"),
    [
        (ValueError("two\nlines"), "two", "ValueError: two"),
        (RuntimeError("\n\n   after blank ones \nmore"), "after blank ones", "RuntimeError: after blank ones"),
        (AssertionError(), "AssertionError", "AssertionError"),
        (OSError(" \n\t\n"), "OSError", "OSError"),
        (ValueError("long" * 100), ("long" * 100)[:300], "ValueError: " + ("long" * 100)[:300]),
    ],
)
def test_the_first_line_with_text_or_the_type_alone(error: Exception, plain: str, named: str) -> None:
    assert (first_line(error), first_line(error, named=True)) == (plain, named)


def test_no_module_takes_the_first_line_of_an_error_that_may_be_empty() -> None:
    """`str(error).splitlines()[0]` is an IndexError where the message is empty."""
    files = Path(trimwatt.__file__).parent.rglob("*.py")
    bare = re.compile(r"splitlines\(\)\[0\]")
    assert [file.name for file in files if bare.search(file.read_text())] == []
