"""The folder that is handed over: model files with a manifest that says what they are and what goes in."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt import _reading, tasks
from trimwatt import runtime as runtimes
from trimwatt._child import reason as one_line
from trimwatt._files import is_sealed
from trimwatt._printable import one_line as printable
from trimwatt.errors import InputError, MissingExtra, TrimwattError
from trimwatt.rows import described as stored_rows
from trimwatt.rows import requests
from trimwatt.rows.derived import Derived
from trimwatt.runtime._base import Artifact, Session
from trimwatt.runtime._manifest import MANIFEST as MANIFEST
from trimwatt.runtime._manifest import SCHEMA
from trimwatt.runtime._manifest import read_manifest as read_manifest
from trimwatt.runtime.signature import is_valid, sign
from trimwatt.scenario import Request, Scenario
from trimwatt.workload import Array, Rows

_PACKAGES = ("trimwatt", "numpy", "onnx", "onnxruntime", "openvino", "scikit-learn", "skops", "torch")
_PINNED = re.compile(r"sha256:[0-9a-f]{64}")


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
    refit: str | None = None,
    keep_others: bool = False,
) -> Path:
    """Copy `artifact` and its manifest into `folder`, whole or not at all, and return `folder`.

    input: what `trimwatt.input.describe` says of the rows; the tensors they are packed in are added. figures: energy,
    quality and size as the study found them. refit: the rows that the model was fitted on in the end,
    None where it came fitted.
    An artifact of ours that stands there is replaced, and files of the user's own in it stay; raises InputError for a
    folder that is anything else, unless keep_others says that it is ours but for them, and where one is in the way.
    """
    if folder.exists() and not (folder / MANIFEST).is_file() and not keep_others:
        raise InputError(f"{folder} exists and is no artifact of trimwatt; name another folder")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        manifest = {
            "schema": SCHEMA, "runtime": artifact.runtime, "task": task, "metric": metric,
            "classes": None if classes is None else [_plain(label) for label in classes],
            "input": input if artifact.tensors is None else {**input, "tensors": artifact.tensors},
            "recipe": recipe, "files": _copy(artifact, beside), "scenario": scenario.to_dict(), "figures": figures,
            "refit": refit,
            "versions": _versions(), "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        text = json.dumps(_signed(manifest), indent=2, ensure_ascii=False) + "\n"
        (beside / MANIFEST).write_text(text, encoding="utf-8")
        _put(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _copy(artifact: Artifact, folder: Path) -> dict[str, str]:
    digests = {}
    folder.mkdir(parents=True)
    for name in artifact.files:
        target, content = _reading.inside(folder, name), artifact.content(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def _signed(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest, with a signature where opening the artifact can run code and there is a key to sign with."""
    plain: dict[str, Any] = json.loads(json.dumps(manifest))
    signature = sign(plain) if runtimes.needs_trust(plain["runtime"]) else None
    return plain if signature is None else {**plain, "hmac": signature}


def _put(beside: Path, folder: Path) -> None:
    """Rename over what was there; the old one is moved aside first, since folders cannot be replaced in one step."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        _copy_others(folder, beside)
        folder.rename(old)
    beside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _copy_others(folder: Path, beside: Path) -> None:
    """Take along what is the user's own; raises InputError where the new artifact has a file of that name."""
    try:
        listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        listed = {}
    listed = listed if isinstance(listed, dict) else {}
    ours = {MANIFEST, *(name for name in listed if _is_as_listed(folder / name, listed[name]))}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name in ours or (name == "README.md" and _is_card(path)) or (path.is_dir() and not path.is_symlink()):
            continue
        if os.path.lexists(beside / name):
            raise InputError(f"{path} is not of the artifact that is to be written there; move it away")
        (beside / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, beside / name, follow_symlinks=False)


def _is_as_listed(path: Path, digest: Any) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _is_card(path: Path) -> bool:
    """Whether a file is a model card as a study writes it."""
    return path.is_file() and is_sealed(path.read_text("utf-8", errors="replace"))


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

    manifest: the content of manifest.json. digest: "sha256:..." of that file, by which the artifact can be pinned.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], digest: str) -> None:
        self.folder, self.manifest, self.digest = folder, manifest, digest
        self._session: Session | None = None
        described = manifest["input"]
        self._one = None if described["named"] else (np.dtype(described["dtype"]), tuple(described["shape"]))
        dated = described["named"] and any("parts" in how for how in described.get("derive", {}).values())
        self._derived = Derived(described) if dated else None

    @property
    def artifact(self) -> Artifact:
        """Its files for a runtime, each with the digest that it must have."""
        files = self.manifest["files"]
        return Artifact(self.folder, self.manifest["runtime"], tuple(files), digests=files)

    def open(self) -> Deployed:
        """Load the model into its runtime now rather than at the first prediction."""
        self._ready()
        return self

    def predict(self, rows: Any) -> Array:
        """Labels or values (n,), or 0 and 1 for each of several labels (n, k).

        rows: an array (n, ...) as the training rows were stored; or named columns: a dict of (n,) arrays, lists or
        single cells, a DataFrame, one row of it (a Series), or a list of rows as dicts; dates as they were in the
        training rows. Raises InputError for rows that do not fit the manifest.
        """
        return self._ask("predict", rows)

    def probabilities(self, rows: Any) -> Array:
        """Probabilities (n, k) in the order of `manifest["classes"]`; raises InputError where values are predicted."""
        if tasks.get(self.manifest["task"]).target == "value":
            raise InputError("this artifact predicts values, which have no probabilities; use predict")
        return self._ask("scores", rows)

    def _ask(self, what: str, rows: Any) -> Array:
        session = self._ready()
        try:
            given = self._rows(session, rows)
            answer: Array = np.asarray(getattr(session, what)(given))
        except TrimwattError:
            raise
        except Exception as error:  # what a runtime or an estimator raises, whatever its type
            raise InputError(f"{self.folder} does not answer these rows: {one_line(error)}") from error
        if answer.ndim == 0 or len(answer) != requests.count(given):
            n = requests.count(given)
            raise InputError(f"{self.folder} gives an answer of shape {answer.shape} to {n} rows")
        return answer

    def _ready(self) -> Session:
        if self._session is None:
            kept = self.manifest["scenario"]
            request: Request = "dict" if self.manifest["input"]["named"] else "array"
            scenario = Scenario(kept["batch_size"], min(kept["threads"], _cores()), request)
            self._session = _opened(self.artifact, scenario)
        return self._session

    def _rows(self, session: Session, rows: Any) -> Any:
        described = self.manifest["input"]
        if not described["named"]:
            is_as_stored = rows.__class__ is np.ndarray and (rows.dtype, rows.shape[1:]) == self._one
            return rows if is_as_stored else _array(rows, described)
        rows = rows if self._derived is None else self._derived(rows)
        if getattr(session, "takes_requests", False):
            return rows
        names = [column["name"] for column in described["columns"]]
        if isinstance(rows, list | tuple) or (hasattr(rows, "iloc") and not hasattr(rows, "columns")):
            rows = dict(zip(names, requests.Reader(names).columns(rows), strict=True))
        return stored_rows.table(rows, described) if described.get("stored") else _columns(rows, described)


def _columns(rows: Any, described: dict[str, Any]) -> Rows:
    columns = described["columns"]
    names = [column["name"] for column in columns]
    if not hasattr(rows, "keys"):
        raise InputError(f"rows come as named columns here ({', '.join(names)}): give a dict of arrays or a DataFrame")
    missing = [name for name in names if name not in rows]
    if missing:
        raise InputError(f"column {missing[0]!r}, which the artifact takes, is missing; give {', '.join(names)}")
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
    # what is masked is the model's to see
    array = rows if isinstance(rows, np.ma.MaskedArray) else np.asarray(rows)
    shape = described.get("shape")
    if shape is not None and (array.ndim == 0 or list(array.shape[1:]) != list(shape)):
        wanted = ", ".join(["n", *(str(size) for size in shape)])
        raise InputError(f"rows have shape {array.shape}, the artifact takes ({wanted}); one row alone needs [None]")
    dtype = np.dtype(described["dtype"])
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise InputError(
            f"rows hold {array.dtype}, the artifact takes {dtype}; give them as the training rows were stored"
        )
    return array.astype(dtype, copy=False)


def load(folder: str | Path, trust: bool | str | None = None) -> Deployed:
    """Open the artifact in `folder` after its files were checked against the digests of its manifest.

    trust: for an artifact of a runtime that can run code (scikit-learn objects, TorchScript) and that was not made here
    by this user: "sha256:...", the digest of its manifest as `optimize` printed it, or True to open it unseen, with a
    warning. Raises InputError where it is no artifact, is not trusted, a file is missing or changed, or a name leads
    out of the folder.
    """
    folder = Path(folder)
    manifest, digest = read_manifest(folder)
    model = Deployed(folder, manifest, digest)
    if doubt := _doubt(model, trust):
        warnings.warn(doubt, stacklevel=2)
    for name in model.artifact.files:
        model.artifact.content(name)
    return model


def _doubt(model: Deployed, trust: bool | str | None) -> str | None:
    """What is to be said of an artifact that is opened unseen; raises InputError for one that must not be opened."""
    if isinstance(trust, str) and not _PINNED.fullmatch(trust):
        raise InputError(f"trust is sha256: and 64 hexadecimal digits, or True, got {trust[:90]!r}")
    if isinstance(trust, str) and trust != model.digest:
        raise InputError(
            f"{model.folder / MANIFEST} has the digest {model.digest}, not the pinned one; nothing was opened"
        )
    if isinstance(trust, str) or not runtimes.needs_trust(model.manifest["runtime"]) or made_here(model.manifest):
        return None
    what = f"{_few(model.manifest['files'])} in the runtime {model.manifest['runtime']}"
    if trust is True:
        return (
            f"{model.folder} was not made here, and opening {what} can run code as you; once you have made sure of it, "
            f"pin it: --trust {model.digest}"
        )
    raise InputError(
        f"{model.folder} was not made here by you, and opening {what} can run code; add --trust sha256:... "
        "(trust= in Python) with the digest that `trimwatt optimize` printed, or deploy an ONNX model of the study"
    )


def _few(names: Iterable[str]) -> str:
    """File names as one short line: they come from elsewhere, and may be of any length."""
    text = printable(", ".join(names))
    return text if len(text) <= 160 else f"{text[:157]}..."


def made_here(manifest: dict[str, Any]) -> bool:
    """Whether this user's key signed the manifest."""
    plain = {name: value for name, value in manifest.items() if name != "hmac"}
    return is_valid(plain, manifest.get("hmac"))


def _opened(artifact: Artifact, scenario: Scenario) -> Session:
    try:
        return runtimes.get(artifact.runtime).open(artifact, scenario)
    except (InputError, MissingExtra):
        raise
    except Exception as error:  # what a damaged file makes a runtime raise, whatever its type
        raise InputError(f"{artifact.folder} cannot be opened: {one_line(error)}") from error


def _cores() -> int:
    """How many cores this process may use: more threads than these only wait."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
