"""What is odd in rows of labels: refused where nothing could be proven, else told in warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt._printable import listed
from trimwatt.errors import InputError
from trimwatt.tasks._base import Array

if TYPE_CHECKING:
    from trimwatt.workload import Data

_LEAST, _NAMED = 2, 6


def check(data: Data) -> None:
    """Raise InputError where no label has enough rows with and without it in each split."""
    judged = np.min([_rarer(split.y) for split in (data.train, data.val, data.test)], axis=0)
    if (judged < _LEAST).all():
        raise InputError(
            f"too few rows of every label ({listed(data.classes or (), 5)}): {_LEAST} or more with and without one in "
            "each of train, val and test are needed to see it missed; give more rows"
        )


def find(data: Data) -> list[str]:
    """Warnings on labels that cannot be learnt or hardly be judged."""
    classes, train = data.classes or (), _rarer(data.train.y)
    judged = np.minimum(_rarer(data.val.y), _rarer(data.test.y))
    unlearnt = [classes[place] for place in np.flatnonzero(train == 0)]
    rare = [classes[place] for place in np.flatnonzero((judged < _LEAST) & (train > 0))]
    found = []
    if unlearnt:
        found.append(f"labels that all training rows have, or none, cannot be learnt: {listed(unlearnt, _NAMED)}")
    if rare:
        found.append(f"labels with fewer than {_LEAST} rows with or without them to judge by: {listed(rare, _NAMED)}")
    return found


def _rarer(y: Array) -> Array:
    """For each label (k,) the rows with it or those without it, whichever are fewer."""
    have = y.sum(axis=0)
    return np.asarray(np.minimum(have, len(y) - have))


def find_unlearned(y: Array, answers: Array, classes: tuple[Any, ...]) -> list[str]:
    """Labels that the answers (n, k) never give rightly although judged rows have them."""
    have, right = y.sum(axis=0), ((answers == 1) & (y == 1)).sum(axis=0)
    missed = np.flatnonzero((have > 0) & (right == 0))
    if not len(missed):
        return []
    names = listed([f"{classes[place]} (0 of {have[place]:,} rows)" for place in missed], _NAMED)
    return [
        f"the recommended model recognises no row of {names}: nothing shows that it could learn them, whatever the "
        "overall figure says; give more rows of them, or leave them out"
    ]
