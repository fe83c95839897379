"""The rows that candidates are judged on: validation rows, or where rows are few all but test rows, fold by fold."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trimwatt import parting
from trimwatt.compare.quality import Folds
from trimwatt.errors import InputError
from trimwatt.workload import Array, Data, Split, Workload

FOLDS = 5
# up to so many rows for training and validation together, fitting five times costs less than it tells
_FEW = 5000


@dataclass(frozen=True, eq=False)
class Validation:
    """On which rows candidates are fitted, and on which they are judged.

    judged: in the order of their answers. whole: the data on whose training rows the model that is measured is fitted.
    parts: with folds, the data of each: a model fitted on `train` answers `val`, and `judged` is the held-out rows of
    one fold after the other. note: what a reader must know of how it came to be.
    """

    judged: Split
    whole: Data
    parts: tuple[Data, ...] = ()
    free: Array | None = None
    note: str | None = None

    @property
    def is_crossed(self) -> bool:
        """Whether candidates are judged out of fold."""
        return bool(self.parts)

    def rows(self, answers: int) -> Split:
        """The rows that so many answers are to: all, or those of the first folds."""
        return self.judged if answers == len(self.judged) else self.judged.take(slice(0, answers))

    def folds(self, answers: int) -> Folds | None:
        """In which fold each of these rows was held out; None where there are none."""
        if not self.parts:
            return None
        number = np.repeat(np.arange(len(self.parts)), [len(part.val) for part in self.parts])
        return Folds(number[:answers], min(len(part.train) for part in self.parts))


def on_one_split(data: Data, note: str | None = None) -> Validation:
    """Candidates are fitted on the training rows and judged on the validation rows."""
    return Validation(data.val, data, free=data.independence.val, note=note)


def plan(base: Workload) -> Validation:
    """Folds where rows are few, what is given is not fitted, and nothing ties them; else one split."""
    data = base.rows
    fitted = base.form != "none" and base.trainer is None
    if fitted or data.val_by != "us" or _are_tied(data) or len(data.train) + len(data.val) > _FEW:
        return on_one_split(data)
    try:
        return crossed(data, base.seed)
    except InputError as error:
        return on_one_split(data, f"candidates are judged on {len(data.val):,} validation rows alone: {error}")


def crossed(data: Data, seed: int) -> Validation:
    """Each candidate is fitted five times on training and validation rows and judged on what each time was held out.

    Raises InputError where groups or moments are too few for that.
    """
    pool = data.train.joined(data.val)
    folds = parting.folds(data.task.strata(pool.y), len(pool), FOLDS, seed, **pool.ties)
    parts = tuple(replace(data, train=pool.take(fit), val=pool.take(held)) for fit, held in folds)
    order = np.concatenate([held for _, held in folds])
    return Validation(pool.take(order), replace(data, train=pool), parts)


def _are_tied(data: Data) -> bool:
    ties = data.independence
    return ties.withheld or (ties.val is not None and not bool(ties.val.all()))
