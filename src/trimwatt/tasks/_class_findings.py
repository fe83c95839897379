"""What is odd in rows of classes: refused where nothing could be proven, else told in warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt._printable import listed
from trimwatt.errors import InputError
from trimwatt.tasks._base import Array

if TYPE_CHECKING:
    from trimwatt.workload import Data

_LEAST_OF_CLASS = 2
_RARE_SHARE = 0.05
_NAMED = 6


def check(data: Data) -> None:
    """Raise InputError where classes are too few or too rare in a split to see one missed."""
    classes, counts = data.classes or (), _counts(data)
    least = np.min(list(counts.values()), axis=0)
    total = np.sum(list(counts.values()), axis=0)
    enough = (total >= len(counts) * _LEAST_OF_CLASS).sum() >= 2
    for name, count in counts.items():
        if enough and (count > 0).sum() < 2:
            only = classes[int(count.argmax())]
            raise InputError(f"the {name} rows hold one class only ({only}); each split needs at least two; split anew")
    common = least >= _LEAST_OF_CLASS
    if common.sum() < 2:
        rare = [f"{classes[code]} ({total[code]} rows)" for code in np.flatnonzero(~common)]
        raise InputError(
            f"too few rows of {listed(rare, 5)}: {_LEAST_OF_CLASS} or more in each of train, val and test are needed "
            "to see a class missed; give more rows or merge classes"
        )
    in_training = counts["train"] > 0
    share = total[~common & in_training].sum() / total.sum()
    if share > _RARE_SHARE:
        raise InputError(
            f"{(~common).sum()} of {len(classes)} classes have too few rows to be judged ({share:.0%} of all rows; "
            f"{_RARE_SHARE:.0%} are allowed); merge rare classes, or name a target that is not an identifier"
        )


def find(data: Data) -> list[str]:
    """Warnings on classes that cannot be learnt or hardly be judged."""
    classes, counts, found = data.classes or (), _counts(data), []
    unseen = np.flatnonzero((counts["train"] == 0) & (counts["val"] + counts["test"] > 0))
    for code in unseen:
        homes = " and ".join(name for name in ("val", "test") if counts[name][code])
        rows = counts["val"][code] + counts["test"][code]
        found.append(f"class {classes[code]} stands only in {homes} ({rows} rows): no model can learn it")
    least = np.minimum(counts["val"], counts["test"])
    rare = [classes[code] for code in np.flatnonzero((least < _LEAST_OF_CLASS) & (counts["train"] > 0))]
    if rare:
        found.append(f"classes with fewer than {_LEAST_OF_CLASS} rows to judge by: {listed(rare, _NAMED)}")
    return found


def find_unlearned(y: Array, answers: Array, classes: tuple[Any, ...]) -> list[str]:
    """What answers (codes (n,) or probabilities (n, k)) show not to have been learnt, and what to do.

    A class without judged rows is not among them: of it nothing is known.
    """
    codes = answers if answers.ndim == 1 else answers.argmax(axis=1)
    of_class = np.bincount(y, minlength=len(classes))
    right = np.bincount(y[codes == y], minlength=len(classes))
    missed = np.flatnonzero((of_class > 0) & (right == 0))
    if not len(missed):
        return []
    names = listed([f"{classes[code]} (0 of {of_class[code]:,} rows)" for code in missed], _NAMED)
    return [
        f"the recommended model recognises no row of {names}: nothing shows that it could learn them, whatever the "
        "overall figure says; give more rows of them, or merge them with others"
    ]


def _counts(data: Data) -> dict[str, Array]:
    """Rows of each class in each split (k,)."""
    splits = {"train": data.train, "val": data.val, "test": data.test}
    return {name: np.bincount(split.y, minlength=len(data.classes or ())) for name, split in splits.items()}
