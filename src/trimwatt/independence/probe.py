"""What a quick model gains from having seen other rows of the same unit: rows left out one by one, then whole units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimwatt.independence._base import Table, number
from trimwatt.independence._columns import as_numbers
from trimwatt.workload import Array

_FOLDS = 4
_TREES = 16
_SURE = 3.0


@dataclass(frozen=True)
class Gain:
    """Mean and standard error, over units, of what knowing other rows of the unit gains.

    In shares of rows answered right, or of the error of the plain median.
    """

    mean: float
    error: float

    def above(self, least: float) -> bool:
        """Whether it is surely there and at least so much."""
        return self.mean >= least and self.mean >= _SURE * self.error


def matrix(table: Table, rows: Array) -> Array:
    """The features of `rows` as float32 `(n, d)`, without NaN; text as codes, pictures as their pixels."""
    if not isinstance(table.x, dict):
        found = np.asarray(table.x[rows], dtype=np.float32).reshape(len(rows), -1)
    else:
        found = np.column_stack([_feature(column[rows]) for column in table.x.values()]).astype(np.float32)
    there = np.isfinite(found)
    # a column of nothing has no median, and numpy warns of it
    found = np.where(there | there.any(axis=0), found, 0.0)
    middle = np.nanmedian(np.where(np.isfinite(found), found, np.nan), axis=0)
    return np.asarray(np.where(np.isfinite(found), found, middle), dtype=np.float32)


def _feature(column: Array) -> Array:
    numbers = as_numbers(column)
    return number(column).astype(np.float64) if numbers is None else numbers.astype(np.float64)


def gain(table: Table, rows: Array, unit: Array, seed: int = 0) -> Gain:
    """What a model gains on `rows` from having seen other rows of the same unit. unit: labels `(len(rows),)`."""
    x, y = matrix(table, rows), table.y[rows]
    rng = np.random.default_rng(seed)
    unit = np.unique(unit, return_inverse=True)[1].reshape(-1)
    free = rng.permutation(len(rows)) % _FOLDS
    whole = (rng.permutation(unit.max() + 1) % _FOLDS)[unit]
    gained = _wrongs(x, y, whole, table.classified) - _wrongs(x, y, free, table.classified)
    size = np.bincount(unit)
    by_unit = np.bincount(unit, weights=gained) / size
    # units count by their rows: one of two rows says less than one of fifty
    mean = float(np.average(by_unit, weights=size))
    spread = np.sqrt(np.average((by_unit - mean) ** 2, weights=size))
    effective = size.sum() ** 2 / (size.astype(np.float64) ** 2).sum()
    return Gain(mean, float(spread / np.sqrt(max(1.0, effective - 1))))


def lag(table: Table, rows: Array, late: Array, seed: int = 0) -> Gain:
    """What a model gains on those of `rows` that are `late` `(len(rows),)` from having seen others of their time."""
    x, y = matrix(table, rows), table.y[rows]
    fold = np.random.default_rng(seed).permutation(len(rows)) % _FOLDS
    fitted = ~late
    ahead = _wrong(x[fitted], y[fitted], x[late], y[late], table.classified)
    known = np.empty(len(rows))
    for number_of_fold in range(_FOLDS):
        held, kept = fold == number_of_fold, np.flatnonzero(fold != number_of_fold)
        # as many rows as the model of the past had, so that only their time differs
        kept = np.sort(np.random.default_rng(seed).permutation(kept)[: int(fitted.sum())])
        known[held] = _wrong(x[kept], y[kept], x[held], y[held], table.classified)
    gained = ahead - known[late]
    blocks = np.array([part.mean() for part in np.array_split(gained, 6)])
    return Gain(float(gained.mean()), float(blocks.std(ddof=1) / np.sqrt(len(blocks))))


def _wrongs(x: Array, y: Array, fold: Array, classified: bool) -> Array:
    found = np.zeros(len(y))
    for number_of_fold in range(_FOLDS):
        held = fold == number_of_fold
        if held.any() and not held.all():
            found[held] = _wrong(x[~held], y[~held], x[held], y[held], classified)
    return found


def _wrong(x: Array, y: Array, held_x: Array, held_y: Array, classified: bool) -> Array:
    """For each held-out row 1 where its class was missed, or its error in units of the error of the median."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    if classified:
        model = ExtraTreesClassifier(_TREES, random_state=0).fit(x, y)
        return np.asarray(model.predict(held_x) != held_y, dtype=np.float64)
    model = ExtraTreesRegressor(_TREES, random_state=0, min_samples_leaf=2).fit(x, y)
    plain = float(np.abs(held_y - np.median(y)).mean()) or 1.0
    return np.asarray(np.abs(model.predict(held_x) - held_y) / plain)
