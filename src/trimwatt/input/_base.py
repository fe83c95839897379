"""What every kind of input gives: parts of rows with their raw target, before splits are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trimwatt import tasks
from trimwatt.errors import InputError
from trimwatt.input.original import Given
from trimwatt.workload import Array, Rows, View

NOT_YET = {
    "forecast": "give windows of past values as columns, the value to come as target, and --task regression",
    "detection": "crop the objects into class folders and use --task classification",
}


@dataclass(frozen=True)
class Options:
    """How to read a source; see `load` for each field."""

    target: str | None = None
    split: str | None = None
    group: str | None = None
    time: str | None = None
    task: str = "auto"
    seed: int = 0
    val_from: Literal["train", "test"] = "train"
    as_stored: bool = False
    needs: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        known = tasks.names()
        if self.task in NOT_YET and self.task not in known:
            raise InputError(
                f"task {self.task!r} is not handled by this version, which does {', '.join(known[:-1])} and "
                f"{known[-1]}; "
                f"{NOT_YET[self.task]}"
            )
        if self.task not in ("auto", *known):
            raise InputError(f"task is one of {', '.join(('auto', *known))}, got {self.task!r}")
        if self.val_from not in ("train", "test"):
            raise InputError(f"val_from is 'train' or 'test', got {self.val_from!r}")
        if self.group and self.time:
            raise InputError(f"splits are made by group ({self.group!r}) or by time ({self.time!r}); give one of them")


@dataclass(frozen=True, eq=False)
class Part:
    """Rows with their target as it came; `group` and `time` `(n,)` say which rows may be parted.

    twins: labels `(n,)`; rows of one label are copies, which stay in one split where neither group nor time part them.
    keys: columns `(n,)` that are no features but may say whose or of when a row is.
    """

    x: Rows
    y: Array
    group: Array | None = None
    time: Array | None = None
    twins: Array | None = None
    keys: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Source:
    """What a kind of input has read.

    parts: by name, "all" or some of "train", "val", "test". target: what messages call the target.
    derive: what must be done again with rows that come for prediction; JSON-able. unlabelled: rows without a target.
    view: of stored columns, what models made here read.
    given: for each part the user's own object that holds its rows, None where they came from a file.
    labels: the names of the target's columns where it has several.
    """

    parts: Mapping[str, Part]
    kind: Literal["table", "image"]
    name: str
    target: str = "target"
    warnings: tuple[str, ...] = ()
    derive: dict[str, Any] = field(default_factory=dict)
    view: View | None = None
    unlabelled: Array | None = None
    given: Mapping[str, Given] | None = None
    labels: tuple[str, ...] | None = None
