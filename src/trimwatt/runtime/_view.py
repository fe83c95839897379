"""How a delivered model sees stored columns, in a file beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trimwatt.rows.view import View
from trimwatt.runtime._base import Artifact
from trimwatt.workload import Workload

FILE = "columns.json"


def write(workload: Workload, folder: Path) -> tuple[str, ...]:
    """The names of the files written: `columns.json`, or none where columns go in as they are, or as float32."""
    found = view_of(workload.prepare)
    if found is None or all(seen.is_plain and seen.kind == "number" for seen in found.seen):
        return ()
    (folder / FILE).write_text(json.dumps(found.to_json(), ensure_ascii=False) + "\n", encoding="utf-8")
    return (FILE,)


def read(artifact: Artifact) -> View | None:
    """What `write` left; None where it left nothing."""
    return View.from_json(json.loads(artifact.content(FILE))) if FILE in artifact.files else None


def view_of(prepare: Any) -> View | None:
    """How preprocessing sees the stored columns that it reads; None where rows are plain, or it takes all as stored."""
    view: View | None = getattr(prepare, "view", None)
    names = getattr(prepare, "places", None)
    return view if view is None or names is None else view.only(tuple(names))
