"""Reading an artifact's manifest.json, and whether it has the form that opening and asking it counts on."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt import _reading
from trimwatt._shape import anything, every, kind, list_of, object_of, text, whole
from trimwatt.errors import InputError

SCHEMA, MANIFEST = "trimwatt/artifact/1", "manifest.json"
_MOST_BYTES, _MOST_FILES, _MOST = 2**26, 1000, 2**31
_DIGEST = re.compile(r"[0-9a-f]{64}")
_label = kind((str, int, float, bool), "a class label")
_columns = list_of(object_of({"name": text, "dtype": text}))
_derive = every(object_of(parts=every(text)))
_tensors = list_of(object_of({"name": text, "dtype": text, "columns": list_of(text)}))
_ROWS = object_of(
    {"named": kind(bool, "true or false")}, kind=text, columns=_columns, shape=list_of(whole()), dtype=text,
    derive=_derive, tensors=_tensors,
)  # fmt: skip
_MANIFEST = object_of(
    {"schema": text, "runtime": text, "files": every(text), "input": _ROWS,
     "scenario": object_of({"batch_size": whole(1), "threads": whole(1)}, request=text)},
    task=text, metric=text, classes=list_of(_label), recipe=list_of(object_of()), figures=every(anything),
    versions=every(text), created=text, refit=text,
)  # fmt: skip


def read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """The manifest of the artifact in `folder`, and "sha256:..." of its bytes; raises InputError where it is none."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} is no artifact: it has no {MANIFEST}; give the artifact folder of a study")
    try:
        data = _reading.read_plain(path)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"it has {len(data)} bytes, at most {_MOST_BYTES} are read")
        manifest = json.loads(data.decode("utf-8"))
        schema = manifest["schema"]
        if schema == SCHEMA:
            check_manifest(manifest)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not readable as a manifest ({_told(error)}); copy the artifact again") from error
    if schema != SCHEMA:
        raise InputError(f"{path} has schema {str(schema)[:60]!r}, this version reads {SCHEMA!r}; update trimwatt")
    return dict(manifest), "sha256:" + hashlib.sha256(data).hexdigest()


def _told(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]


def check_manifest(manifest: dict[str, Any]) -> None:
    """Raise ValueError, naming the first field that is not as `write` made it; `classes` may be null, not absent."""
    _MANIFEST(manifest, "")
    rows = manifest["input"]
    needed = ("columns",) if rows["named"] else ("shape", "dtype")
    for name in needed:
        if rows.get(name) is None:
            raise ValueError(f"input.{name} is missing")
    if "classes" not in manifest:
        raise ValueError("classes is missing")
    if not all(_DIGEST.fullmatch(digest or "") for digest in manifest["files"].values()):
        raise ValueError("files is {name: sha256}")
    if len(manifest["files"]) > _MOST_FILES:
        raise ValueError(f"files are {len(manifest['files'])}, at most {_MOST_FILES} are opened")
    if any(manifest["scenario"][name] >= _MOST for name in ("batch_size", "threads")):
        raise ValueError("scenario holds a number that is too large")
    if not rows["named"] and (np.dtype(rows["dtype"]).kind not in "biufUSM" or any(s >= _MOST for s in rows["shape"])):
        raise ValueError("input is no array of numbers or text")
