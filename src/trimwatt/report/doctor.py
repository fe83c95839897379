"""What `trimwatt doctor` found, as text of at most 80 columns; every sign has its word beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from trimwatt.report import _text

WIDTH = 80
_INDENT = 27
_SIGNS = {"ready": "✓", "good": "✓", "closed": "✗", "poor": "!", "absent": "–", "unknown": "–", "untested": "?"}
# blue, vermilion-like yellow and grey are told apart in any colour vision; the sign and the word carry the meaning
_COLOURS = {"ready": "34", "good": "34", "closed": "33", "poor": "33", "untested": "33"}


def text(found: dict[str, Any], colour: bool = False) -> str:
    """The findings of schema trimwatt/doctor/1 for people. colour: ANSI colours around the signs."""
    lines = ["Energy sensors"]
    lines += [line for sensor in _grouped(found["sensors"]) for line in _sensor(sensor, colour)]
    lines += ["", "Where this runs", *(line for place in found["surroundings"] for line in _place(place))]
    lines += ["", "This machine", *(line for item in found["conditions"] for line in _condition(item, colour))]
    if found["plugins"]:
        lines += ["", "From other packages", *(line for one in found["plugins"] for line in _plugin(one, colour))]
    lines += ["", "You get today", *_today(found["today"])]
    return "\n".join(lines) + "\n"


def _sign(state: str, colour: bool) -> str:
    sign = f"{_SIGNS[state]} {state}"
    return f"\x1b[{_COLOURS[state]}m{sign}\x1b[0m" if colour and state in _COLOURS else sign


def _grouped(sensors: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The sensors, each fix told once: with the last that it is for."""
    for k, sensor in enumerate(sensors):
        later = any(s["fix"] == sensor["fix"] and s["sensor"] == sensor["sensor"] for s in sensors[k + 1 :])
        yield {**sensor, "fix": "", "fix_for_good": "", "why_closed": ""} if later else sensor


def _sensor(sensor: dict[str, Any], colour: bool) -> Iterator[str]:
    state = sensor["state"]
    head = f"  {_sign(state, colour)}{' ' * (9 - len(state))}{sensor['sensor']:<13} "
    yield from _under(head, _text.plain(sensor["detail"]))
    who = f"  ({sensor['mode']} {sensor['owner']}:{sensor['group']})" if sensor["mode"] else ""
    if sensor["path"]:
        yield from _under("", _text.plain(sensor["path"]) + who)
    for label, key in (("fix", "fix"), ("for good", "fix_for_good"), ("why closed", "why_closed")):
        if sensor.get(key):
            yield from _under(" " * _INDENT + f"{label}: ", _text.plain(sensor[key]))


def _place(place: dict[str, Any]) -> Iterator[str]:
    untested = "" if place["tested"] else "; trimwatt is untested there"
    yield from _under(f"  {place['kind']:<24} ", f"{_text.plain(place['detail'])}{untested}")
    yield from _under("", _text.plain(place["advice"]))


def _condition(item: dict[str, Any], colour: bool) -> Iterator[str]:
    head = f"  {_sign(item['state'], colour)}{' ' * (9 - len(item['state']))}{item['name']:<13} "
    yield from _under(head, _text.plain(item["detail"]))


def _plugin(one: dict[str, Any], colour: bool) -> Iterator[str]:
    head = f"  {_sign(one['state'], colour)}{' ' * (9 - len(one['state']))}{one['kind']:<13} "
    why = f"; left out: {one['detail']}" if one["detail"] else ""
    yield from _under(head, _text.plain(f"{one['name']} of {one['package']}{why}"))


def _today(today: dict[str, Any]) -> Iterator[str]:
    yield from _under(f"  {today['label'] or 'nothing':<24} ", today["width"])
    for warning in today["warnings"]:
        yield from _under("", _text.plain(warning))


def _under(head: str, said: str) -> list[str]:
    """`head` and then `said`, wrapped to the width, what follows the first line set under it."""
    shown = head if head else " " * _INDENT
    visible = len(shown) - sum(len(code) for code in ("\x1b[34m", "\x1b[33m", "\x1b[0m") if code in shown)
    wrapped = textwrap.wrap(
        said, WIDTH, initial_indent=" " * visible, subsequent_indent=" " * _INDENT, break_on_hyphens=False
    )
    return [shown.rstrip()] if not wrapped else [shown + wrapped[0][visible:], *wrapped[1:]]
