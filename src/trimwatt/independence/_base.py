"""What is known of the ties between judged rows and training rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from trimwatt.rows.columns import is_missing
from trimwatt.workload import Array, Rows

Kind = Literal["twins", "group", "time", "seen"]
TRAIN, VAL, TEST, UNSPLIT = 0, 1, 2, -1


@dataclass(frozen=True, eq=False)
class Table:
    """All rows of a source, one split below the other.

    x: rows as `Split.x`; y: class codes or values `(n,)`. keys: further columns that may say whose or of when a row is,
    though no model reads them: dates, names, numbers of rows. part: TRAIN, VAL or TEST for each row, or UNSPLIT.
    """

    x: Rows
    y: Array
    classified: bool
    image: bool = False
    keys: dict[str, Array] = field(default_factory=dict)
    part: Array = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def features(self) -> dict[str, Array]:
        """Columns `(n,)` that models read, by name or by place; pictures have none."""
        if isinstance(self.x, dict):
            return self.x
        return {f"column {place}": self.x[:, place] for place in range(self.x.shape[1])} if self.x.ndim == 2 else {}

    @property
    def columns(self) -> dict[str, Array]:
        """The features and the keys; of a date that is both, the key."""
        return {**self.features, **self.keys}


@dataclass(frozen=True, eq=False)
class Tie:
    """A reason why rows are not independent of each other.

    labels: rows of one label `(n,)` belong together (twins, group); for time the moment of each row, and order counts.
    columns: those that say so, none where it shows only in the rows themselves. named: by the user.
    coarse: twins in a table of so few values that rows are alike without having been copied.
    """

    kind: Kind
    labels: Array
    columns: tuple[str, ...] = ()
    named: bool = False
    coarse: bool = False


def number(values: Array) -> Array:
    """Labels 0, 1, ... `(n,)` of values of any dtype; equal values have equal labels, ascending where they sort."""
    if values.dtype != object:
        return np.unique(values, return_inverse=True)[1].reshape(-1)
    place, distinct = places(values)
    return ranked(["" if is_missing(cell) else str(cell) for cell in distinct])[place]


def places(values: Array) -> tuple[Array, list[object]]:
    """The place of each object `(n,)` in the list of distinct ones, and that list."""
    cells = values.tolist()
    distinct = {cell: place for place, cell in enumerate(dict.fromkeys(cells))}
    return np.fromiter(map(distinct.__getitem__, cells), np.int64, len(cells)), list(distinct)


def ranked(texts: list[str]) -> Array:
    """Labels of texts `(n,)`, ascending in their order."""
    rank = {text: place for place, text in enumerate(sorted(set(texts)))}
    return np.fromiter(map(rank.__getitem__, texts), np.int64, len(texts))
