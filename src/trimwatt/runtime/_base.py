"""The contract of a runtime: export a workload to files, open them, predict."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trimwatt import _reading
from trimwatt.errors import InputError
from trimwatt.scenario import Scenario
from trimwatt.workload import Array, Rows, Workload


@dataclass(frozen=True)
class Artifact:
    """A model as deployed: files in `folder`, for `runtime`.

    files: names relative to folder, all that is needed outside trimwatt. columns: those it reads of named rows, None
    for all. tensors: which columns stand in each input of the model, as JSON, None where each has one of its own.
    classes: every label it can answer, None for values. live: sha256 of `folder/live.bin` where this run wrote
    the object itself (see `trimwatt._handoff`); kept in memory only. digests: sha256 of each file where the folder may
    come from elsewhere; None for files of this run.
    """

    folder: Path
    runtime: str
    files: tuple[str, ...]
    live: str | None = field(default=None, repr=False)
    columns: tuple[str, ...] | None = None
    classes: tuple[Any, ...] | None = None
    digests: Mapping[str, str] | None = field(default=None, repr=False, hash=False)
    tensors: list[dict[str, Any]] | None = field(default=None, repr=False, hash=False)

    def content(self, name: str) -> bytes:
        """The bytes of one of its files, read once and checked: what is opened must be what this returns.

        Raises InputError for a file that is not listed, missing, reached by a link, or of another digest.
        """
        if name not in self.files:
            raise InputError(f"{self.folder} does not list the file {name!r}; only listed files are opened")
        data = _reading.read(self.folder, name)
        if self.digests is not None and hashlib.sha256(data).hexdigest() != self.digests.get(name):
            raise InputError(
                f"{self.folder / name} is not the file that was handed over (its sha256 differs); copy the folder again"
            )
        return data

    @property
    def size_bytes(self) -> int:
        """Bytes of the deployed files."""
        return sum((self.folder / name).stat().st_size for name in self.files)


class Session(Protocol):
    """An opened artifact, ready to answer. Lives in a process of its own while it is measured.

    One that computes in fewer bits than float32 has an `error_bound`, which `verify` then allows it. One that reads
    named columns of any form itself (see `trimwatt.rows.requests`) says so by `takes_requests = True`.
    """

    def predict(self, rows: Rows) -> Array:
        """Labels or values (n,) for a request in the scenario's form. This is the call that is timed."""
        ...

    def scores(self, rows: Rows) -> Array:
        """Probabilities (n, k) in the order of the classes, or values (n,)."""
        ...


class Runtime(Protocol):
    """What runs artifacts. `forms`: the forms of model it exports as they are; others are lowered first.

    trusted: whether opening its files can run code, so that only trusted ones are opened (see `runtime.deployed`).
    """

    name: str
    forms: frozenset[str]
    trusted: bool

    def export(self, workload: Workload, folder: Path) -> Artifact:
        """Write the deployed model, preprocessing and decision included, into the existing `folder`."""
        ...

    def open(self, artifact: Artifact, scenario: Scenario) -> Session: ...
