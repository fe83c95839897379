"""Class lists: which class each output of a given model stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trimwatt.errors import InputError
from trimwatt.input.checks import shown
from trimwatt.input.loading import existing

_ALLOWED = "a text file with one name per line, or JSON: a list or {index: name}"
_MOST_BYTES = 10_000_000


def read_classes(source: Any, classes: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """The class of each output column, in order.

    source: a path (one name per line, or .json), a list, or {index: name}; an entry may list several names of one
    class, of which the one that `classes`, those of the data, use is taken. Raises InputError for all else.
    """
    if isinstance(source, str | Path):
        path = existing(Path(source))
        return _of(_from_file(path), path.name, classes)
    return _of(source, "classes", classes)


def _from_file(path: Path) -> Any:
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path.name} is no list of classes; {_ALLOWED} is allowed")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not readable as UTF-8 text ({error}); {_ALLOWED} is allowed") from error
    if path.suffix.lower() != ".json" and text.lstrip()[:1] not in ("[", "{"):
        return [line.strip() for line in text.rstrip().splitlines()]
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not valid JSON ({shown(str(error), 80)}); {_ALLOWED} is allowed") from error


def _of(names: Any, what: str, classes: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if isinstance(names, Mapping):
        names = _by_index(names, what)
    if not isinstance(names, list | tuple) and not hasattr(names, "tolist"):
        raise InputError(f"{what} is {type(names).__name__}; {_ALLOWED} is allowed")
    entries = names.tolist() if hasattr(names, "tolist") else list(names)
    labels = [_entry(entry, classes) for entry in entries]
    for place, label in enumerate(labels):
        if isinstance(label, bool) or not isinstance(label, str | int) or label == "":
            raise InputError(f"{what} holds {shown(repr(entries[place]), 40)} for output {place}; a name is needed")
    if len(labels) < 2:
        raise InputError(f"{what} names {len(labels)} outputs; a classifier has two or more; {_ALLOWED} is allowed")
    return tuple(labels)


def _by_index(names: Mapping[Any, Any], what: str) -> list[Any]:
    places = {str(key): label for key, label in names.items()}
    missing = next((i for i in range(len(places)) if str(i) not in places), None)
    if missing is not None:
        raise InputError(f"{what} has no name for output {missing}; its keys are the indices 0 to {len(places) - 1}")
    return [places[str(i)] for i in range(len(places))]


def _entry(entry: Any, classes: tuple[Any, ...] | None) -> Any:
    """A label, or of several names for one class the one that the data use."""
    if isinstance(entry, list | tuple) and entry:
        used = {str(label) for label in classes or ()}
        return next((name for name in entry if str(name) in used), entry[0])
    return entry.item() if hasattr(entry, "item") else entry
