"""Whether JSON from a file has the form that its reader counts on.

A check is a function of a value and its place; it raises ValueError with both. What is null or absent is unknown and
passes, unless it is needed; fields that nobody named may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trimwatt._printable import one_line

Check = Callable[[Any, str], None]
# beyond any figure of this universe, and far enough from the largest float that sums of such figures stay finite
_MOST = 1e60


def _refuse(place: str, allowed: str, value: Any) -> None:
    raise ValueError(f"{place or 'the file'} is {allowed}, got {one_line(repr(value))[:60]}")


def kind(wanted: type | tuple[type, ...], allowed: str) -> Check:
    """A value of a Python type, called `allowed` in a refusal."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, wanted):
            _refuse(place, allowed, value)

    return check


def number(value: Any, place: str) -> None:
    """A finite number, and none whose sums would not be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(place, "a number", value)
    if not -_MOST <= value <= _MOST:
        _refuse(place, "a finite number", value)


def one_of(*allowed: str) -> Check:
    """One of some texts."""

    def check(value: Any, place: str) -> None:
        if value not in allowed:
            _refuse(place, f"one of {', '.join(allowed)}", value)

    return check


def list_of(of: Check) -> Check:
    """A list of such values."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, list):
            _refuse(place, "a list", value)
        for index, item in enumerate(value):
            of(item, f"{place}[{index}]")

    return check


def object_of(needed: dict[str, Check] | None = None, **optional: Check) -> Check:
    """An object with fields that it must have, and others that it may."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            _refuse(place, "an object", value)
        for name, of in {**(needed or {}), **optional}.items():
            if value.get(name) is not None:
                of(value[name], f"{place}.{name}".lstrip("."))
            elif name in (needed or {}):
                raise ValueError(f"{f'{place}.{name}'.lstrip('.')} is missing")

    return check


def every(of: Check) -> Check:
    """An object all of whose values are such."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            _refuse(place, "an object", value)
        for name, item in value.items():
            if item is not None:
                of(item, f"{place}.{one_line(name)[:40]}")

    return check


def whole(least: int = 0) -> Check:
    """An integer from `least`."""

    def check(value: Any, place: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
            _refuse(place, f"an integer >= {least}", value)

    return check


def anything(_value: Any, _place: str) -> None:
    """Any value."""


text, flag = kind(str, "text"), kind(bool, "true or false")
