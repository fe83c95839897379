"""What is odd in the data: refused where nothing could be proven, else told in warnings."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input.checks import listed
from trimwatt.input.split import LEAST_JUDGED
from trimwatt.workload import Array, Data, Rows, Split

_LEAST_OF_CLASS = 2
_RARE_SHARE = 0.05
_MIX = np.uint64(0x9E3779B97F4A7C15)


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
    """Warnings on classes, and on rows that stand in two splits."""
    found = []
    if data.classes is not None:
        found += _class_warnings(data, data.classes)
    seen = np.unique(_fingerprints(data.train))
    for name in ("test", "val"):
        split = _splits(data)[name]
        twice = int(np.isin(_fingerprints(split), seen).sum())
        if twice:
            found.append(
                f"{twice} of {len(split)} {name} rows also stand among the training rows (same features, same target): "
                f"quality on {name} flatters models that memorise"
            )
    return found


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


def _fingerprints(split: Split) -> Array:
    """A 64-bit hash a row, of features and target; equal rows have equal ones."""
    with np.errstate(over="ignore"):
        return _mixed(_row_hashes(split.x), split.y)


def _row_hashes(x: Rows) -> Array:
    if not isinstance(x, dict):
        flat = np.ascontiguousarray(x).reshape(len(x), -1)
        return np.fromiter((hash(row.tobytes()) for row in flat), dtype=np.int64, count=len(flat)).view(np.uint64)
    total = np.zeros(len(next(iter(x.values()))), dtype=np.uint64)
    for column in x.values():
        total = _mixed(total, column)
    return total


def _mixed(total: Array, column: Array) -> Array:
    if column.dtype == object:
        codes = np.fromiter(map(hash, column.tolist()), dtype=np.int64, count=len(column)).view(np.uint64)
    else:
        codes = np.nan_to_num(column.astype(np.float64), nan=-1.2345e300).view(np.uint64)
    mixed = (total ^ codes) * _MIX
    return np.asarray(mixed ^ (mixed >> np.uint64(29)))
