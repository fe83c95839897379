"""What is odd in the data: refused where nothing could be proven, else told in warnings."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input.checks import listed
from trimwatt.input.split import LEAST_JUDGED
from trimwatt.workload import Data, Split

_LEAST_OF_CLASS = 2
_RARE_SHARE = 0.05


def check_judgeable(data: Data) -> None:
    """Raises InputError where validation or test rows cannot tell models apart."""
    for name, split in (("val", data.val), ("test", data.test)):
        if len(split) < LEAST_JUDGED:
            raise InputError(
                f"{name} holds {len(split)} rows, {LEAST_JUDGED} are the least to judge by; give more rows"
            )
    if data.classes is not None:
        _check_classes(data, data.classes)


def _check_classes(data: Data, classes: tuple[Any, ...]) -> None:
    counts = {name: np.bincount(split.y, minlength=len(classes)) for name, split in _splits(data).items()}
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


def inspect(data: Data) -> list[str]:
    """Warnings on classes."""
    return [] if data.classes is None else _class_warnings(data, data.classes)


def _splits(data: Data) -> dict[str, Split]:
    return {"train": data.train, "val": data.val, "test": data.test}


def _class_warnings(data: Data, classes: tuple[Any, ...]) -> list[str]:
    counts = {name: np.bincount(split.y, minlength=len(classes)) for name, split in _splits(data).items()}
    found = []
    unseen = np.flatnonzero((counts["train"] == 0) & (counts["val"] + counts["test"] > 0))
    for code in unseen:
        homes = " and ".join(name for name in ("val", "test") if counts[name][code])
        rows = counts["val"][code] + counts["test"][code]
        found.append(f"class {classes[code]} stands only in {homes} ({rows} rows): no model can learn it")
    least = np.minimum(counts["val"], counts["test"])
    rare = [classes[code] for code in np.flatnonzero((least < _LEAST_OF_CLASS) & (counts["train"] > 0))]
    if rare:
        found.append(f"classes with fewer than {_LEAST_OF_CLASS} rows to judge by: {listed(rare, 6)}")
    return found
