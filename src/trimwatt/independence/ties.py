"""All that ties rows to each other, before they are parted; and what a given split cuts through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trimwatt.independence import groups, probe, times, twins
from trimwatt.independence._base import TEST, TRAIN, VAL, Table, Tie, number
from trimwatt.independence._sorting import first_rows
from trimwatt.workload import Array, Independence, Rows, take

LEAST_JUDGED = 10
_JUDGED = {VAL: "validation", TEST: "test"}
_ROWS_OF_A_STATE = 0.05
_PROBED = 3000
_LEAST_GAIN = 0.03


def find(table: Table, named: Sequence[Tie] = ()) -> list[Tie]:
    """Twins, and a group or a time that models would gain from; `named`: those that the user told of, not looked for.

    A group that the user names, or rows in the order of time, say how the model will be asked: for rows of new groups,
    or of later days. Then no other grouping is looked for.
    """
    twin = twins.find(table)
    in_time = any(tie.kind == "time" for tie in named) or times.is_followed(table)
    if twin is not None and (in_time or twin.coarse) and not _gained(table, twin):
        twin = None  # what comes again later, or what many rows are like, is no copy
    found = [*named, *([twin] if twin else [])]
    if named or in_time:
        return found
    once = table if twin is None else without_copies(table, twin.labels)
    group, time = groups.find(once), times.find(once)
    if group is not None:
        found.append(_of_all_rows(table, group, twin))
    if time is not None and (time.columns or group is None):  # rows sorted by group are in no order of time
        found.append(_of_all_rows(table, time, twin))
    return found


def unexamined(table: Table) -> tuple[str, ...]:
    """What `find` does not look for, or not in all rows, in words."""
    shaped = not table.image and not isinstance(table.x, dict) and table.x.ndim != 2
    rows = [f"twins and clusters: rows of {table.x.ndim - 1} dimensions are not compared"] if shaped else []  # type: ignore[union-attr]
    return (*rows, *groups.unexamined(table))


def _gained(table: Table, twin: Tie) -> bool:
    """Whether a quick model gains from having seen a row's twins."""
    several = np.flatnonzero(np.bincount(twin.labels)[twin.labels] > 1)
    rows = several[groups.whole_groups(number(twin.labels[several]), _PROBED)]
    return probe.gain(table, rows, twin.labels[rows]).above(_LEAST_GAIN)


def without_copies(table: Table, labels: Array) -> Table:
    """The first row of each label, in their order."""
    first = np.sort(first_rows(labels))
    x: Rows = take(table.x, first)
    keys = {name: column[first] for name, column in table.keys.items()}
    return replace(table, x=x, y=table.y[first], keys=keys, part=table.part[first])


def _of_all_rows(table: Table, tie: Tie, twin: Tie | None) -> Tie:
    """A tie among first rows, for their copies as well."""
    if twin is None:
        return tie
    first, home = np.unique(twin.labels, return_index=True, return_inverse=True)[1:]
    place = np.searchsorted(np.sort(first), first[home.reshape(-1)])
    return replace(tie, labels=tie.labels[place])


def unparted(found: Sequence[Tie]) -> Array | None:
    """Labels of rows that a split must keep together: a group's, else twins'; None where there are none.

    A value that many rows share is a state of the world rather than a copy: it may be parted.
    """
    group = next((tie for tie in found if tie.kind == "group"), None)
    twin = next((tie for tie in found if tie.kind == "twins"), None)
    if group is not None:
        return group.labels if twin is None else _merged(group.labels, _copies(twin.labels))
    if twin is None:
        return None
    kept = _copies(twin.labels)
    return kept if len(np.unique(kept)) < len(kept) else None


def _copies(labels: Array) -> Array:
    size = np.bincount(labels)
    few = (size > 1) & (size <= max(20, _ROWS_OF_A_STATE * len(labels)))
    return np.where(few[labels], labels, len(size) + np.arange(len(labels)))


def _merged(a: Array, b: Array) -> Array:
    """Labels of rows that are linked by either."""
    a, b = (np.unique(labels, return_inverse=True)[1].reshape(-1) for labels in (a, b))
    edges = [(a, b + a.max() + 1)]
    return twins.linked(edges, int(a.max() + b.max() + 2))[a]


def judge(found: Sequence[Tie], part: Array, y: Array, classified: bool) -> Independence:
    """What the split `part` cuts through: which judged rows are free of every tie, and whether enough of them are.

    Validation rows must not be tied to training rows, test rows neither to those nor to validation rows, which chose.
    Of judged rows that are tied to each other one is free: five copies of a row tell as much as one.
    """
    tied = [(tie, cut(tie, part), _repeated(tie, part)) for tie in found]
    tied = [(tie, cut_rows, again) for tie, cut_rows, again in tied if (cut_rows | again).any()]
    if not tied:
        return Independence(examined=True)
    free = ~np.any([cut_rows | again for _, cut_rows, again in tied], axis=0)
    masks = {where: free[part == where] for where in (VAL, TEST)}
    return Independence(
        kinds=tuple(tie.kind for tie, *_ in tied),
        rows=int((~free[part != TRAIN]).sum()),
        columns=tuple(column for tie, *_ in tied for column in tie.columns),
        reason="; ".join(_reason(tie, cut_rows, again, part) for tie, cut_rows, again in tied),
        remedy=" and ".join(dict.fromkeys(_remedy(tie) for tie, *_ in tied)),
        val=masks[VAL],
        test=masks[TEST],
        withheld=not all(_enough(y[part == where][mask], classified) for where, mask in masks.items()),
        examined=True,
    )


def cut(tie: Tie, part: Array) -> Array:
    """Judged rows that are tied to rows of another split `(n,)`: of training, and for test rows of validation too."""
    if tie.kind == "time":
        fitted = tie.labels[part == TRAIN]
        known = fitted[np.isfinite(fitted)]
        # a row of an unknown moment may be of any
        return np.asarray((part != TRAIN) & ~(tie.labels >= (known.max() if len(known) else np.inf)))
    first = np.full(int(tie.labels.max()) + 1, TEST + 1)
    np.minimum.at(first, tie.labels, part)
    return np.asarray(first[tie.labels] < part)


def _repeated(tie: Tie, part: Array) -> Array:
    """Judged rows that are not the first of their label in their split; of a group that the user named all count."""
    if tie.kind == "time" or tie.named:
        return np.zeros(len(part), dtype=bool)
    own = tie.labels * (TEST + 1) + part
    again = np.ones(len(part), dtype=bool)
    again[first_rows(own)] = False
    return np.asarray(again & (part != TRAIN))


def _enough(y: Array, classified: bool) -> bool:
    return len(y) >= LEAST_JUDGED and (not classified or len(np.unique(y)) > 1)


def _reason(tie: Tie, tied: Array, again: Array, part: Array) -> str:
    shown, names = tied if tied.any() else again, ", ".join(tie.columns)
    counts = [f"{int(shown[part == p].sum())} of {int((part == p).sum())} {word} rows" for p, word in _JUDGED.items()]
    rows = " and ".join(counts)
    if not tied.any():
        what = "rows" if tie.kind == "twins" else names or "close clusters"
        return f"{rows} repeat {what} of their own split, and count once"
    if tie.kind == "twins":
        return f"{rows} repeat rows of another split, exactly or nearly"
    if tie.kind == "group" and not names:
        return f"{rows} lie in close clusters with rows of another split"
    if tie.kind == "group":
        return f"{rows} have the {names} of rows in another split, and what is learned there does not hold for others"
    what = f"the time in {names}" if names else "where rows stand in the file"
    return f"the target depends on {what}, and {rows} are not later than the training rows"


def _remedy(tie: Tie) -> str:
    if tie.kind == "twins":
        return "remove the copies"
    if len(tie.columns) > 1:
        return f"join {', '.join(tie.columns)} to one column and split by it (--time COLUMN)"
    option = f"--{tie.kind} {tie.columns[0] if tie.columns else 'COLUMN'}"
    return f"split by it ({option})" if tie.columns else f"name a column to split by ({option})"
