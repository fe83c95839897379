"""Recipes as one line of text: `finetune + prune-blocks(share=0.4) + static-int8 @ openvino`.

    recipe  = step {"+" step} ["@" runtime]
    step    = name ["(" parameter "=" value {"," parameter "=" value} ")"]
    value   = JSON, or a word, or whole numbers joined by hyphens (64-32)

`given` stands for a recipe that changes nothing. What is at its default is left out.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from trimwatt.errors import InputError
from trimwatt.technique import REGISTRY, make

GIVEN, USUAL_RUNTIME = "given", "onnxruntime"
# more values than this are measured figures rather than a choice
_MOST = 8
_STEP = re.compile(r"\s*([^\s+@()=,]+)\s*(\((.*)\))?\s*", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WHOLE = re.compile(r"\d+(-\d+)+")
_WORDS = {"True": True, "False": False, "None": None}


class Read(NamedTuple):
    """What a text says. runtime: None where it names none."""

    steps: tuple[Any, ...]
    runtime: str | None


def write(steps: Sequence[Any], runtime: str = USUAL_RUNTIME) -> str:
    """One line that `read` understands; measured figures, which a study finds again, are left out."""
    served = "" if runtime == USUAL_RUNTIME else f" @ {runtime}"
    return (" + ".join(map(label, steps)) or GIVEN) + served


def label(step: Any) -> str:
    """Its name with the parameters that are not at their defaults: "forest(trees=30)"."""
    changed = [
        f"{field.name}={_value(getattr(step, field.name))}"
        for field in dataclasses.fields(step)
        if getattr(step, field.name) != field.default and not _is_table(getattr(step, field.name))
    ]
    return str(step.name) + (f"({', '.join(changed)})" if changed else "")


def read(text: str) -> Read:
    """Steps and runtime; raises InputError, in one line, for a text that does not say them."""
    body, *served = _split(text, "@")
    runtime = "@".join(served).strip()
    if served and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", runtime):
        raise InputError(f"recipe {text!r}: one runtime stands after @, such as onnxruntime, got {runtime!r}")
    first, *others = _split(body, "+")
    parts = others if first.strip() == GIVEN else [first, *others]
    return Read(tuple(_step(part, text) for part in parts), runtime or None)


def _step(part: str, text: str) -> Any:
    """The technique that one part names."""
    found = _STEP.fullmatch(part)
    if found is None:
        raise InputError(f"recipe {text!r}: a step is a technique's name, as in forest(trees=30), got {part.strip()!r}")
    name, inside = found[1], found[3]
    try:
        asked = dict(_parameter(entry) for entry in _split(inside, ",")) if inside and inside.strip() else {}
        return make(name, **{key: _as_declared(name, key, value) for key, value in asked.items()})
    except InputError as error:
        raise InputError(f"recipe {text!r}: {error}") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"recipe {text!r}: {name} cannot be read: {error}") from None


def _parameter(entry: str) -> tuple[str, Any]:
    name, equals, value = entry.partition("=")
    if not equals or not name.strip().isidentifier():
        raise InputError(f"a parameter is written like share=0.4, got {entry.strip()!r}")
    return name.strip(), _read_value(value.strip())


def _as_declared(name: str, parameter: str, value: Any) -> Any:
    """A whole number as the float, one value as the tuple of one, that the technique declares there."""
    declared = next((f.type for f in dataclasses.fields(REGISTRY.get(name)) if f.name == parameter), "")
    if str(declared).startswith("tuple") and not isinstance(value, tuple):
        return (value,)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and str(declared).startswith("float") else value


def _read_value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return tuple(int(part) for part in text.split("-"))
    try:
        return _frozen(json.loads(text))
    except ValueError:
        if text and not set(text) & set("()[]{}\"'"):
            return text
        raise InputError(f"{text!r} is no value: write a number, a word, or a list like [1, 2]") from None


def _value(value: Any) -> str:
    """As it is read again."""
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, (tuple, list)):
        whole = value and all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in value)
        return "-".join(map(str, value)) if whole else json.dumps(value)
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) and value not in _WORDS else json.dumps(value)
    return f"{value}"


def _is_table(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) > _MOST


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value


def _split(text: str, mark: str) -> Iterator[str]:
    """The parts between marks that stand outside brackets and quotes."""
    depth, quoted, start = 0, False, 0
    for place, sign in enumerate(text):
        if sign == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (sign in "([{") - (sign in ")]}")
            if sign == mark and depth == 0:
                yield text[start:place]
                start = place + 1
    yield text[start:]
