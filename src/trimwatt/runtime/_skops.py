"""Reading a `model.skops`: every type in it is looked up in a list before a single object is built."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from trimwatt._imports import require
from trimwatt.errors import InputError, first_line
from trimwatt.runtime import _places
from trimwatt.runtime._types import ALLOWED

# of the file format itself; others resolve types in other ways
_PROTOCOL = 2
# an array is stored as it is; what unfolds to many times the file is no model
_MOST_TIMES, _MOST_BYTES = 20, 2**26
_NO_KEYS: dict[str, Any] = {"__loader__": "ListNode", "content": []}


def read(data: bytes, name: str) -> Any:
    """The object in `data`, the content of file `name`.

    Raises InputError where it holds a type that is not in the list, or one in a place where it could run code, or is
    not a file of skops.
    """
    skops = require("skops.io", "sklearn", f"Opening {name}")
    try:
        check(data, name)
        value = skops.loads(data, trusted=sorted(frozenset().union(*ALLOWED.values())))
        _places.check(value, name)
    except InputError:
        raise
    except Exception as error:  # a damaged file raises anything
        why = first_line(error, 160, named=True)
        raise InputError(f"{name} cannot be read ({why}); copy the artifact again") from error
    return value


def check(data: bytes, name: str) -> None:
    """Raise InputError for a type that the list lacks, or for a file that unfolds to far more than its size."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unfolded = sum(entry.file_size for entry in archive.infolist())
        if unfolded > max(_MOST_BYTES, _MOST_TIMES * len(data)):
            raise InputError(f"{name} unfolds to {unfolded} bytes from {len(data)}; it was not loaded")
        schema = json.loads(archive.read("schema.json"))
    if schema.get("protocol") != _PROTOCOL:
        raise InputError(
            f"{name} was written in skops' format {schema.get('protocol')!r}, format {_PROTOCOL} is read; make it again"
        )
    known: dict[Any, tuple[str, str, bool]] = {}
    for node in _nodes(schema):
        loader, kind = str(node.get("__loader__")), f"{node.get('__module__')}.{node.get('__class__')}"
        # a node seen before stands for itself
        if loader == "CachedNode":
            continue
        if kind not in ALLOWED.get(loader, ()):
            raise InputError(
                f"{name} holds {kind}, which is not on the list of types that may be opened, so nothing of it was "
                "loaded; predict in the program that made the model, or deploy one of the study's ONNX models"
            )
        _refuse_memory(loader, node, name)
        # keys are built by calling their types, and a node whose number was given before stands for that one
        seen_as = (loader, kind, _are_types(node))
        if known.setdefault(node.get("__id__"), seen_as) != seen_as or not _are_types(node.get("key_types", _NO_KEYS)):
            raise InputError(f"{name} has one object in the place of another, so nothing of it was loaded")


def _are_types(node: dict[str, Any]) -> bool:
    """Whether it is a list of types alone."""
    return node["__loader__"] == "ListNode" and all(part["__loader__"] == "TypeNode" for part in node["content"])


def _refuse_memory(loader: str, node: dict[str, Any], name: str) -> None:
    """Raise InputError for an attribute that numpy would ask for memory while the objects are built, or could."""
    content = json.loads(node["content"]) if loader == "JsonNode" else node.get("content")
    if loader == "JsonNode" and isinstance(content, (list, dict)):
        raise InputError(f"{name} holds a {type(content).__name__} in the place of one value; make it again")
    words = content if isinstance(content, dict) else [content] if isinstance(content, str) else []
    if any(word.startswith("__array") for word in words):
        raise InputError(f"{name} tells numpy where to read memory, so nothing of it was loaded; make it again")


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every node of an object; a loop, since nested lists would exhaust the stack."""
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        elif isinstance(node, dict):
            if "__loader__" in node or "__class__" in node:
                yield node
            todo += node.values()
