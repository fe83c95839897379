"""The folder that is handed over: model files with a manifest that says what they are and what goes in."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from trimwatt import runtime as runtimes
from trimwatt.errors import InputError
from trimwatt.runtime._base import Artifact, Session
from trimwatt.runtime._manifest import check_manifest
from trimwatt.scenario import Request, Scenario
from trimwatt.workload import Array, Rows

SCHEMA = "trimwatt/artifact/1"
MANIFEST = "manifest.json"
_PACKAGES = ("trimwatt", "numpy", "onnx", "onnxruntime", "openvino", "scikit-learn", "skops", "torch")


def write(
    folder: Path,
    artifact: Artifact,
    *,
    task: str,
    metric: str,
    classes: tuple[Any, ...] | None,
    input: dict[str, Any],
    recipe: list[dict[str, Any]],
    figures: dict[str, Any],
    scenario: Scenario,
) -> Path:
    """Copy `artifact` and its manifest into `folder`, whole or not at all, and return `folder`.

    input: what `trimwatt.input.describe` says of the rows. figures: energy, quality and size as the study found them.
    An artifact of ours that stands there is replaced; raises InputError for a folder that is anything else.
    """
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} exists and is no artifact of trimwatt; name another folder")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        manifest = {
            "schema": SCHEMA, "runtime": artifact.runtime, "task": task, "metric": metric,
            "classes": None if classes is None else [_plain(label) for label in classes], "input": input,
            "recipe": recipe, "files": _copy(artifact, beside), "scenario": scenario.to_dict(), "figures": figures,
            "versions": _versions(), "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        (beside / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        _put(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _copy(artifact: Artifact, folder: Path) -> dict[str, str]:
    digests = {}
    folder.mkdir(parents=True)
    for name in artifact.files:
        target = _inside(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.folder / name, target)
        digests[name] = _sha256(target)
    return digests


def _put(beside: Path, folder: Path) -> None:
    """Rename over what was there; the old one is moved aside first, since folders cannot be replaced in one step."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    beside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _inside(folder: Path, name: str) -> Path:
    """The path of file `name` in `folder`; raises InputError for a name that would lead out of it."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise InputError(
            f"the artifact names the file {name!r}, which does not stay inside its folder; it was not opened"
        )
    return folder / name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Deployed:
    """An artifact that answers, in this process. Nothing of it is unpickled.

    manifest: the content of manifest.json.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self._session: Session | None = None

    def open(self) -> Deployed:
        """Load the model into its runtime now rather than at the first prediction."""
        self._ready()
        return self

    def predict(self, rows: Any) -> Array:
        """Labels (classification) or values (regression), (n,).

        rows: an array (n, ...) as the training rows were stored, or named columns as a dict of (n,) arrays or a pandas
        DataFrame. Raises InputError for rows that do not fit the manifest.
        """
        return self._ready().predict(self._rows(rows))

    def probabilities(self, rows: Any) -> Array:
        """Probabilities (n, k) in the order of `manifest["classes"]`; raises InputError for regression."""
        if self.manifest["classes"] is None:
            raise InputError("this artifact predicts values, which have no probabilities; use predict")
        return self._ready().scores(self._rows(rows))

    def _ready(self) -> Session:
        if self._session is None:
            kept = self.manifest["scenario"]
            request: Request = "dict" if self.manifest["input"]["named"] else "array"
            scenario = Scenario(kept["batch_size"], kept["threads"], request)
            artifact = Artifact(self.folder, self.manifest["runtime"], tuple(self.manifest["files"]))
            self._session = runtimes.get(artifact.runtime).open(artifact, scenario)
        return self._session

    def _rows(self, rows: Any) -> Rows:
        described = self.manifest["input"]
        return _columns(rows, described) if described["named"] else _array(rows, described)


def _columns(rows: Any, described: dict[str, Any]) -> Rows:
    columns = described["columns"]
    names = [column["name"] for column in columns]
    if not hasattr(rows, "keys"):
        raise InputError(f"rows come as named columns here ({', '.join(names)}): give a dict of arrays or a DataFrame")
    missing = [name for name in names if name not in rows]
    if missing:
        made = [label for label, how in described.get("derive", {}).items() if missing[0] in how.get("parts", ())]
        hint = f"it is made of {made[0]!r}, which `trimwatt predict` does" if made else f"give {', '.join(names)}"
        raise InputError(f"column {missing[0]!r}, which the artifact takes, is missing; {hint}")
    return {c["name"]: _column(rows[c["name"]], c["name"], c["dtype"]) for c in columns}


def _column(values: Any, name: str, dtype: str) -> Array:
    if not dtype.startswith("float"):
        return np.array([_cell(cell) for cell in np.asarray(values, dtype=object).reshape(-1)], dtype=object)
    try:
        # pandas' own missing value has no float, unless it is named
        plain = values.to_numpy(np.float32, na_value=np.nan) if hasattr(values, "to_numpy") else values
        return np.asarray(plain, dtype=np.float32).reshape(-1)
    except (ValueError, TypeError) as error:
        raise InputError(f"column {name!r} holds numbers where the artifact was made, and now {error}") from error


def _cell(cell: Any) -> str:
    """A text cell; what stands for missing is empty."""
    if isinstance(cell, str):
        return cell
    missing = cell is None or type(cell).__name__ in ("NAType", "NaTType") or bool(cell != cell)
    return "" if missing else str(cell)


def _array(rows: Any, described: dict[str, Any]) -> Array:
    array, shape = np.asarray(rows), described.get("shape")
    if shape is not None and (array.ndim == 0 or list(array.shape[1:]) != list(shape)):
        wanted = ", ".join(["n", *(str(size) for size in shape)])
        raise InputError(f"rows have shape {array.shape}, the artifact takes ({wanted}); one row alone needs [None]")
    dtype = np.dtype(described["dtype"])
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise InputError(
            f"rows hold {array.dtype}, the artifact takes {dtype}; give them as the training rows were stored"
        )
    return array.astype(dtype, copy=False)


def load(folder: str | Path) -> Deployed:
    """Open the artifact in `folder` after its files were checked against the digests of its manifest.

    Raises InputError where it is no artifact, a file is missing or changed, or a name leads out of the folder.
    """
    folder = Path(folder)
    manifest = _read(folder)
    for name, digest in manifest["files"].items():
        path = _inside(folder, name)
        if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{folder} lacks the file {name!r} that its manifest names; copy the whole folder")
        if _sha256(path) != digest:
            raise InputError(f"{path} is not the file that was handed over (its sha256 differs); copy the folder again")
    return Deployed(folder, manifest)


def _read(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} is no artifact: it has no {MANIFEST}; give the artifact folder of a study")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        schema = manifest["schema"]
        if schema == SCHEMA:
            check_manifest(manifest)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not readable as a manifest ({error}); copy the artifact again") from error
    if schema != SCHEMA:
        raise InputError(f"{path} has schema {schema!r}, this version reads {SCHEMA!r}; update trimwatt")
    return dict(manifest)
