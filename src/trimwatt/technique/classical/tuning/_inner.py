"""Training rows parted once more: what is tuned is fitted to some of them and judged on the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from trimwatt import parting
from trimwatt.errors import InputError
from trimwatt.technique.classical._fit import prepared
from trimwatt.workload import Array, Data, Split, Workload

# with so many rows or fewer, each is held out once, in so many folds; with more, one part is
_FOLDS = ((1000, 5), (4000, 3))
_SHARE, _MOST_HELD = 0.2, 5000
# rows fitted to at most while tuning: what rounds and leaves are right is told well by these
MOST_ROWS, FEW_ROWS = 40_000, 10_000
# a fit that takes longer than one on so many rows of two classes is made once, not for each fold
_DEAR = 4000


@dataclass(frozen=True, eq=False)
class Fold:
    """A workload whose training rows are some of those of the study's, and the rows held out of them."""

    workload: Workload
    held: Split
    _prepared: dict[str, tuple[Array, Array]] = field(default_factory=dict, repr=False)

    def prepared(self, missing: str) -> tuple[Array, Array]:
        """Rows to fit on and rows held out, as boosted trees take them."""
        if missing not in self._prepared:
            fit, prepare = self.workload.rows.train, prepared(self.workload.rows, "ordinal", missing)
            self._prepared[missing] = prepare.transform(fit.x), prepare.transform(self.held.x)
        return self._prepared[missing]

    @cached_property
    def known(self) -> Array:
        """Which of the rows held out are of a class that there is among those to fit on (n,)."""
        if self.workload.task.target == "value":
            return np.full(len(self.held), True)
        return np.isin(self.held.y, np.unique(self.workload.rows.train.y))

    @property
    def has_missing(self) -> bool:
        """Whether a number is missing among the rows to fit on."""
        return bool(np.isnan(self.prepared("own")[0]).any())

    def fewer(self, most: int) -> Fold:
        """The same with at most so many rows to fit on."""
        data = self.workload.rows
        if len(data.train) <= most:
            return self
        return Fold(_on(self.workload, data.sampled(self.workload.seed, most)), self.held)


@dataclass(frozen=True, eq=False)
class Inner:
    """Folds of the training rows. rows: how many training rows there are."""

    folds: tuple[Fold, ...]
    rows: int
    few: tuple[Fold, ...] = field(default=())

    @property
    def workload(self) -> Workload:
        return self.folds[0].workload

    @property
    def classes(self) -> int:
        """How many numbers a model answers with: one per class of three or more, else 1."""
        known = len(self.workload.rows.classes or ())
        return known if known > 2 else 1

    @property
    def for_trees(self) -> tuple[Fold, ...]:
        """The folds for models that take as much longer as there are classes."""
        return self.folds if self.rows * self.classes <= _DEAR else self.folds[:1]

    @property
    def for_networks(self) -> tuple[Fold, ...]:
        """The folds for models that take long whatever is asked."""
        return self.folds if self.rows <= _FOLDS[0][0] else self.folds[:1]

    @property
    def truth(self) -> Array:
        """The targets of all rows held out, fold by fold."""
        return np.concatenate([fold.held.y for fold in self.folds])


def part(workload: Workload) -> Inner:
    """Folds of the training rows: groups whole, the latest rows held out where moments are known.

    Raises InputError where there are too few rows, or too few of a second class, to fit and judge anything.
    """
    data = replace(workload.rows, train=workload.fit_rows)
    workload = replace(workload, data=data)
    rows = len(data.train)
    folds = tuple(
        Fold(_on(workload, data.train.take(fit)), data.train.take(held)).fewer(MOST_ROWS)
        for fit, held in _indices(data, workload.seed)
    )
    if any(len(np.unique(fold.workload.rows.train.y)) < 2 for fold in folds):
        raise InputError(f"{rows} training rows are too few, or too much alike, to tune on")
    inner = Inner(folds, rows)
    few = inner.for_trees if rows <= _FOLDS[0][0] else (folds[0].fewer(FEW_ROWS),)
    return replace(inner, few=few)


def _indices(data: Data, seed: int) -> Sequence[tuple[Array, Array]]:
    train = data.train
    rows, codes = len(train), data.task.strata(train.y)
    count = next((count for most, count in _FOLDS if rows <= most), 1)
    if count > 1:
        try:
            return parting.folds(codes, rows, count, seed, **train.ties)
        except InputError:
            pass  # too few groups or moments for so many folds: one part is held out as far as it can be
    held = min(_MOST_HELD, max(1, round(_SHARE * rows)))
    return [parting.hold_out(rows, held, codes, seed, **train.ties)]


def _on(workload: Workload, train: Split) -> Workload:
    # the threshold is set when all else is decided, and not on these rows
    return replace(workload, data=replace(workload.rows, train=train, unlabelled=None))
