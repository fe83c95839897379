"""A folder as a study leaves it, with real content in each file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from trimwatt._files import seal
from trimwatt.store import Lock, open_store
from trimwatt.study import folder as folders

STUDY = {"schema": "trimwatt/study/1", "trials": []}


def write_study(folder: Path, verdict: str = "former", lock: Lock | None = None) -> None:
    """What a study leaves, each file with real content."""
    from trimwatt.report import save

    for name in ("trials/t00", "artifact"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    store = open_store(folder, lock=lock)
    store.save_study({"verdict": verdict})
    store.close()
    folders.write_json(folder / "study.json", {**STUDY, "verdict": verdict})
    save({**STUDY, "verdict": verdict}, folder / "report.html")
    np.save(folder / "trials/t00/validation.npy", np.zeros(3))
    for path in ("trials/t00/model.onnx", "artifact/model.onnx"):
        (folder / path).write_bytes(b"\x08\x0a model")
    digest = hashlib.sha256((folder / "artifact/model.onnx").read_bytes()).hexdigest()
    manifest = {"schema": "trimwatt/artifact/1", "files": {"model.onnx": digest}}
    (folder / "artifact/manifest.json").write_text(json.dumps(manifest))
    (folder / "artifact/README.md").write_text(seal("# Model\n"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def replace(folder: Path) -> folders.Place:
    return folders.Place(folders.choose(folder, "x.csv", resume=False, force=True), resume=False)
