"""Which column reaches the baseline otherwise than the user's own model, found by asking that model again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trimwatt.framework import own
from trimwatt.framework.apart import differing
from trimwatt.framework.own import Answer
from trimwatt.framework.undisturbed import copy_to_ask, undisturbed
from trimwatt.workload import Array, Workload, take

_ROWS, _COLUMNS = 50, 50


def changed_column(given: Workload, adopted: Workload, split: str, index: Array, answer: Answer, bound: float) -> str:
    """The first column that, changed in the user's own rows as it is stored here, changes the model's answers.

    answer: the model's own, to the rows of `split` at `index`. Returned in words for a message, with a cell before and
    after: the first column that differs where none alone changes an answer, "" where no column differs or the rows are
    no frame.
    """
    data = adopted.rows
    index, answer = index[:_ROWS], answer.take(slice(0, _ROWS))
    stored = take(getattr(data, split).x, index)
    theirs: Any = None if data.original is None else data.original(split, index)
    if not isinstance(stored, dict) or not hasattr(theirs, "assign"):
        return ""
    places = {name: _changed_at(theirs, name, column) for name, column in stored.items()}
    changed = {name: place for name, place in places.items() if place is not None}
    given = replace(given, model=copy_to_ask(given.model))
    ask = own.asker(given, adopted)
    matter = (n for n in list(changed)[:_COLUMNS] if _matters(ask, theirs, stored, n, answer, given, bound))
    found = next(matter, "")
    name = found or next(iter(changed), "")
    if not name:
        return ""
    before, after = theirs[name].iloc[changed[name]], stored[name][changed[name]]
    return f"{name!r} ({_told(before)} became {_told(after)})"


def _matters(
    ask: own.Ask, theirs: Any, stored: dict[str, Array], name: str, answer: Answer, given: Workload, bound: float
) -> bool:
    try:
        with undisturbed(given.model):
            again = ask(theirs.assign(**{name: stored[name]}), stored)
    except Exception:  # a model may raise anything for a column of another kind
        return True
    return bool(len(differing(answer, again, bound)))


def _changed_at(theirs: Any, name: str, stored: Array) -> int | None:
    """The first row in which a stored cell is not the user's own."""
    if name not in theirs:
        return None
    pairs = zip(theirs[name].tolist(), stored.tolist(), strict=True)
    return next((place for place, (before, after) in enumerate(pairs) if not _equal(before, after)), None)


def _equal(before: Any, after: Any) -> bool:
    missing = [cell is None or type(cell).__name__ in ("NAType", "NaTType") or cell != cell for cell in (before, after)]
    if any(missing):
        return all(missing) or (missing[0] and after == "")
    if isinstance(before, str) or isinstance(after, str):
        return str(before) == str(after)
    return bool(before == after)


def _told(cell: Any) -> str:
    cell = cell.item() if isinstance(cell, np.generic) else cell
    text = f"{cell:.12g}" if isinstance(cell, float) else repr(cell)
    return text if len(text) <= 40 else text[:37] + "..."
