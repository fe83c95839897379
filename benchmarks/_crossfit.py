"""Draws of data from known generators, two recipes cross-fitted on them, and what each recipe is really worth.

Each row has six columns, of which the last two tell nothing. The candidate goes without two that tell something, so it
loses; `even` pairs differ only in which useless column they see, so theirs is no loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trimwatt import metric
from trimwatt.compare.quality import Folds
from trimwatt.compare.statistics import Array
from trimwatt.metric import Metric

FOLDS = 5
# rows that each draw's models are tried on beside their own: over 1,000 draws, two million
FRESH = 2000
Fit = Callable[[Array, Array], Callable[[Array], Array]]
METRICS = {"accuracy": metric.get("accuracy"), "r2": metric.get("r2"), "auc": metric.get("auc", 1)}


def made(task: str, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """x (n, 6) float32, y (n,): codes 0 and 1, or values."""
    x = rng.normal(size=(n, 6)).astype(np.float32)
    score = x[:, 0] + 0.8 * x[:, 1] + 0.6 * x[:, 2] + 0.5 * np.maximum(x[:, 3], 0)
    if task == "regression":
        return x, score + rng.normal(size=n)
    return x, (score - 0.2 + 0.6 * rng.logistic(size=n) > 0).astype(np.int64)


def _model(task: str, kind: str) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if kind == "linear":
        return Ridge() if task == "regression" else LogisticRegression()
    tree = DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier
    return tree(random_state=0) if kind == "grown tree" else tree(max_depth=4, min_samples_leaf=5, random_state=0)


def _recipe(task: str, kind: str, columns: list[int]) -> Fit:
    def fit(x: Array, y: Array) -> Callable[[Array], Array]:
        model = _model(task, kind).fit(x[:, columns], y)
        answer = model.predict if task == "regression" else model.predict_proba
        return lambda rows: answer(rows[:, columns])

    return fit


@dataclass(frozen=True)
class Case:
    """A pair of recipes on `rows` rows. kind: linear | tree | grown tree (which is unstable, beside a linear model)."""

    metric: str
    kind: str
    rows: int
    even: bool = False

    @property
    def task(self) -> str:
        """classification or regression."""
        return "regression" if METRICS[self.metric].reads == "values" else "classification"

    @property
    def pair(self) -> tuple[Fit, Fit]:
        """Candidate and baseline."""
        every, beside = [0, 1, 2, 3, 4], "linear" if self.kind == "grown tree" else self.kind
        mine = [0, 1, 2, 3, 5] if self.even else every if self.kind == "grown tree" else [0, 1, 4]
        return _recipe(self.task, self.kind, mine), _recipe(self.task, beside, every)


@dataclass(frozen=True, eq=False)
class Draw:
    """Out-of-fold answers of candidate and baseline, as the metric reads them, and its values on fresh rows.

    fold, pool: (candidate, baseline) fitted on a fold's rows, and on all.
    """

    truth: Array
    folds: Folds
    candidate: Array
    baseline: Array
    fold: tuple[float, float]
    pool: tuple[float, float] | None

    def first(self) -> Draw:
        """The rows of the first fold alone, as a single split has them."""
        held = self.folds.number == 0
        alone = replace(self.folds, number=self.folds.number[held])
        return replace(
            self, truth=self.truth[held], folds=alone, candidate=self.candidate[held], baseline=self.baseline[held]
        )


def _read(m: Metric, answers: Array) -> Array:
    return answers.argmax(axis=1) if m.reads == "labels" else answers


def _worth(m: Metric, x: Array, y: Array, models: list[Callable[[Array], Array]]) -> tuple[float, float]:
    mine, theirs = (m(y, _read(m, model(x))) for model in models)
    return mine, theirs


def drawn(case: Case, seed: int, pool: bool = True) -> Draw:
    """One draw of data, both recipes cross-fitted on it; pool: fitted on all of it, too."""
    rng, m = np.random.default_rng([case.rows, seed]), METRICS[case.metric]
    x, y = made(case.task, case.rows, rng)
    fresh = made(case.task, FRESH, rng)
    number = rng.permutation(case.rows) % FOLDS
    shape = (case.rows, 2) if case.task == "classification" else (case.rows,)
    out = [np.empty(shape), np.empty(shape)]
    for f in range(FOLDS):
        models = [fit(x[number != f], y[number != f]) for fit in case.pair]
        for answers, model in zip(out, models, strict=True):
            answers[number == f] = model(x[number == f])
        if f == 0:
            fold = _worth(m, *fresh, models)
    whole = _worth(m, *fresh, [fit(x, y) for fit in case.pair]) if pool else None
    candidate, baseline = (_read(m, answers) for answers in out)
    return Draw(y, Folds(number, case.rows - case.rows // FOLDS), candidate, baseline, fold, whole)
