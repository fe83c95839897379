"""Reading a `model.skops`: every type in it is looked up in a list before a single object is built."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.runtime._types import ALLOWED

# of the file format itself; others resolve types in other ways
_PROTOCOL = 2
# an array is stored as it is; what unfolds to many times the file is no model
_MOST_TIMES, _MOST_BYTES = 20, 2**26


def read(data: bytes, name: str) -> Any:
    """The object in `data`, the content of file `name`.

    Raises InputError where it holds a type that is not in the list, or is not a file of skops.
    """
    skops = require("skops.io", "sklearn", f"Opening {name}")
    try:
        check(data, name)
        value = skops.loads(data, trusted=sorted(frozenset().union(*ALLOWED.values())))
    except InputError:
        raise
    except Exception as error:  # a damaged file raises anything
        raise InputError(f"{name} cannot be read ({_line(error)}); copy the artifact again") from error
    _check_vectorizers(value, name)
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
    for loader, kind in _types(schema):
        if kind not in ALLOWED.get(loader, ()):
            raise InputError(
                f"{name} holds {kind}, which is not on the list of types that may be opened, so nothing of it was "
                "loaded; predict in the program that made the model, or deploy one of the study's ONNX models"
            )


def _types(schema: Any) -> Iterator[tuple[str, str]]:
    """(loader, full name of the type) of every node; a loop, since nested lists would exhaust the stack."""
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        elif isinstance(node, dict):
            if "__loader__" in node or "__class__" in node:
                loader, kind = str(node.get("__loader__")), f"{node.get('__module__')}.{node.get('__class__')}"
                # a node seen before stands for itself
                if loader != "CachedNode":
                    yield loader, kind
            todo += node.values()


def _check_vectorizers(root: Any, name: str) -> None:
    """Raise InputError for a text vectorizer that would open the files its rows name."""
    from sklearn.feature_extraction import text

    todo, seen = [root], set()
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, (text.CountVectorizer, text.HashingVectorizer)) and value.input != "content":
            raise InputError(f"{name} holds a vectorizer that opens the files its rows name; it was not loaded")
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, (list, tuple, set)):
            todo += value
        elif type(value).__module__.partition(".")[0] in ("sklearn", "trimwatt"):
            todo += vars(value).values() if hasattr(value, "__dict__") else ()


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
