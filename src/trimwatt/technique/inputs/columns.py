"""Columns of a table that a model need not read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.prepare import ColumnPrepare
from trimwatt.framework.sklearn import quietly_fitted
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.classical._fit import answering, fit_again
from trimwatt.workload import Array, Split, Workload

JUDGED_ROWS, SCOUT_ROWS, LEAST_ROWS = 2000, 20_000, 40
_AT_ONCE, _TRIED = 8, 4


@dataclass(frozen=True)
class SelectColumns(Technique):
    """Let a model read fewer columns of a table: reading them, text above all, can take longer than the model does.

    Small boosted trees, fitted on training rows, tell which column matters least: of the four whose permutation raises
    the loss of held-out rows least, the one without which new trees err least. It goes, and so on until enough have
    gone; where there are many, an eighth goes at once by permutation alone. Then an estimator is fitted again on what
    is left, on the labels; a network has the mean of what it no longer reads put into its biases, and is usually
    fine-tuned next.
    share: of the columns to remove, in (0, 1); one goes and one stays at least.
    """

    name: ClassVar[str] = "select-columns"
    family: ClassVar[str] = "feature selection"
    group: ClassVar[str] = "inputs"
    reference: ClassVar[str] = (
        "Breiman 2001, doi:10.1023/A:1010933404324 (permutation importance); "
        "Guyon et al. 2002, doi:10.1023/A:1012487302797 (recursive elimination)"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"sklearn", "torch"})

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            hint = f"; did you mean {self.share / 100:g}?" if 1 < self.share < 100 else ""
            raise InputError(f"share is in (0, 1), got {self.share:g}{hint}")

    def stay(self, columns: int) -> int:
        """How many of so many columns stay."""
        return min(columns - 1, max(1, math.floor(columns * (1 - self.share) + 0.5)))

    def suits(self, workload: Workload) -> str:
        return "" if workload.rows.named else "rows have no named columns"


@applies_to(SelectColumns, "sklearn")
def _refitted(technique: SelectColumns, workload: Workload) -> Workload:
    from sklearn.base import clone

    prepare, part = _prepare(workload), workload.fit_rows
    less = prepare.only(_kept(technique, workload, prepare))
    # a model that keeps rows, as neighbours do, keeps no more of them than before
    most = getattr(workload.model, "n_samples_fit_", len(part))
    if most < len(part):
        part = replace(workload.rows, train=part).sampled(workload.seed, most)
    estimator = fit_again(clone(workload.model), less.transform(part.x), part.y)
    return answering(replace(workload, model=estimator, prepare=less))


@applies_to(SelectColumns, "torch")
def _narrowed(technique: SelectColumns, workload: Workload) -> Workload:
    torch = require("torch", "torch", "A network")
    from trimwatt.framework.torch import gates_inputs
    from trimwatt.framework.torch.copying import copied
    from trimwatt.framework.torch.run import evaluated, example

    prepare = _prepare(workload)
    name = gates_inputs.first_dense(evaluated(workload.model), example(workload, 1))
    if name is None:
        raise TrialFailed("select-columns takes networks whose first layer is dense and reads all columns")
    less = prepare.only(_kept(technique, workload, prepare))
    kept = np.concatenate([prepare.places[column] for column in less.places])
    rows = workload.rows.train.sample(SCOUT_ROWS, workload.seed)
    mean = torch.from_numpy(prepare.transform(rows.x).mean(0))
    module = copied(workload.model).eval()
    return replace(workload, model=gates_inputs.without_(module, name, torch.from_numpy(kept), mean), prepare=less)


def _prepare(workload: Workload) -> ColumnPrepare:
    """The preprocessing whose columns can be chosen."""
    prepare = workload.prepare
    if not isinstance(prepare, ColumnPrepare):
        reads = "its rows itself" if prepare is None else f"what {type(prepare).__name__} makes of them"
        raise TrialFailed(
            f"select-columns takes models behind trimwatt's preprocessing of named columns; this one reads {reads}"
        )
    if len(prepare.places) < 2:
        raise TrialFailed("the model reads one column, which cannot be left out")
    return prepare


def _kept(technique: SelectColumns, workload: Workload, prepare: ColumnPrepare) -> list[str]:
    """The columns that stay, found by taking away those that matter least."""
    require("sklearn", "sklearn", "Choosing columns")
    if workload.task.target == "labels":
        raise TrialFailed("columns are chosen for a class or a value, and this task decides several labels")
    fit, held = replace(workload.rows, train=workload.fit_rows).holdout(workload.seed, most=JUDGED_ROWS)
    rows, fit = len(fit) + len(held), fit.sample(SCOUT_ROWS, workload.seed)
    if rows < LEAST_ROWS or len(np.unique(fit.y)) < 2:
        raise TrialFailed(f"{rows} training rows, or those of one class, cannot tell columns apart; give {LEAST_ROWS}")
    scout = _Scout(workload, prepare, fit, held)
    left, stay = list(prepare.places), technique.stay(len(prepare.places))
    while len(left) > stay:
        few = scout.least(left, max(_TRIED, len(left) // _AT_ONCE))
        going = few[: min(len(left) - stay, len(left) // _AT_ONCE)]
        if len(going) <= 1:
            going = [min(few, key=lambda name: scout.loss([n for n in left if n != name]))]
        left = [name for name in left if name not in going]
    return left


class _Scout:
    """Small boosted trees on some of the columns, and how they err on held-out rows."""

    def __init__(self, workload: Workload, prepare: ColumnPrepare, fit: Split, held: Split) -> None:
        self.values, self.seed, self.y, self.truth = workload.task.target == "value", workload.seed, fit.y, held.y
        # categories as codes, whatever the model itself takes
        codes = replace(prepare, mean=None, inverse=None, one_hot=False)
        fitted, judged = codes.transform(fit.x), codes.transform(held.x)
        self.columns = {name: (fitted[:, at], judged[:, at]) for name, (at,) in codes.places.items()}

    def least(self, names: list[str], number: int) -> list[str]:
        """Those whose permutation raises the loss least."""
        trees, rows = self._trees(names)
        order, losses = np.random.default_rng(self.seed).permutation(len(rows)), {}
        for place, name in enumerate(names):
            mixed = rows.copy()
            mixed[:, place] = rows[order, place]
            losses[name] = self._loss(trees, mixed)
        return sorted(names, key=lambda name: losses[name])[:number]

    def loss(self, names: list[str]) -> float:
        """Of trees that read these columns alone."""
        return self._loss(*self._trees(names))

    def _trees(self, names: list[str]) -> tuple[Any, Array]:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind = HistGradientBoostingRegressor if self.values else HistGradientBoostingClassifier
        trees = kind(
            max_iter=30, max_leaf_nodes=15, learning_rate=0.2, random_state=self.seed, early_stopping=False,
            min_samples_leaf=max(1, min(20, len(self.y) // 20)),
        )  # fmt: skip
        rows, judged = (np.stack([self.columns[name][part] for name in names], axis=1) for part in (0, 1))
        return quietly_fitted(trees, rows, self.y), judged

    def _loss(self, trees: Any, rows: Array) -> float:
        """Mean log loss of classes, mean squared error of values."""
        if self.values:
            return float(np.mean((trees.predict(rows) - self.truth) ** 2))
        said = trees.predict_proba(rows)[trees.classes_[None] == self.truth[:, None]]
        return float(-np.log(np.clip(said, 1e-6, None)).sum() / len(self.truth))
