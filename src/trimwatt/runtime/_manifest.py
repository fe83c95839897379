"""Whether an artifact's manifest.json has the form that opening and asking it counts on."""

from __future__ import annotations

from typing import Any

from trimwatt._shape import anything, every, kind, list_of, object_of, text, whole

_label = kind((str, int, float, bool), "a class label")
_columns = list_of(object_of({"name": text, "dtype": text}))
_derive = every(object_of(parts=every(text)))
_ROWS = object_of(
    {"named": kind(bool, "true or false")}, kind=text, columns=_columns, shape=list_of(whole()), dtype=text,
    derive=_derive,
)  # fmt: skip
_MANIFEST = object_of(
    {"schema": text, "runtime": text, "files": every(text), "input": _ROWS,
     "scenario": object_of({"batch_size": whole(1), "threads": whole(1)}, request=text)},
    task=text, metric=text, classes=list_of(_label), recipe=list_of(object_of()), figures=every(anything),
    versions=every(text), created=text,
)  # fmt: skip


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
    if any(digest is None for digest in manifest["files"].values()):
        raise ValueError("files is {name: sha256}")
