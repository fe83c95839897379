"""A tree, or trees, taught by whatever model stands before them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework.prepare import fit_prepare
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.classical import _fit
from trimwatt.technique.distill import _teacher
from trimwatt.workload import Array, Workload

_STUDENTS = ("tree", "forest", "boosted")
# what a class must have of a row's probability for the row to count towards it
_LEAST = 0.02


@dataclass(frozen=True)
class DistillTree(Technique):
    """Fit a tree, a forest or boosted trees to what the model before it answers, rather than to the labels.

    Each row counts towards every class by the probability that its teacher gives it; values are the teacher's own.
    student: "tree", "forest" or "boosted". depth: splits at most. leaf: rows in a leaf at least. trees: of a forest,
    or rounds of boosting. learning_rate: of boosting, in (0, 1]. How far it follows the teacher on rows held out of
    training is logged, and is what `fidelity(teacher, student, rows)` gives.
    """

    name: ClassVar[str] = "distill-tree"
    family: ClassVar[str] = "distillation"
    group: ClassVar[str] = "distill"
    reference: ClassVar[str] = "Craven and Shavlik 1996, NIPS 8; Frosst and Hinton 2017, arXiv:1711.09784"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx", "sklearn", "torch"})
    gives: ClassVar[str | None] = "sklearn"
    books: ClassVar[str] = "train"

    student: str = "tree"
    depth: int = 12
    leaf: int = 2
    trees: int = 30
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        if self.student not in _STUDENTS:
            raise InputError(f"student is {', '.join(_STUDENTS)}, got {self.student!r}")
        _fit.positive_whole("depth", self.depth, "splits from root to leaf")
        _fit.positive_whole("leaf", self.leaf, "rows in a leaf")
        _fit.positive_whole("trees", self.trees, "trees of a forest, or rounds of boosting")
        _fit.share("learning_rate", self.learning_rate)


@applies_to(DistillTree, "onnx", "sklearn", "torch")
def _distill(technique: DistillTree, workload: Workload) -> Workload:
    classify, _ = _fit.start(workload)
    teacher = _teacher.Teacher(workload)
    data = replace(workload.rows, train=workload.fit_rows)
    taught = _teacher.with_unlabelled(data, teacher)
    prepare = fit_prepare(workload.rows, "ordinal")
    x, said = prepare.transform(taught.train.x), teacher.says(taught.train)
    model = _estimator(technique, classify, workload.seed)
    if classify:
        rows, codes, weights = spread(said)
        model.fit(x[rows], codes, sample_weight=weights)
    else:
        model.fit(x, said)
    student = _fit.answering(replace(workload, model=model, prepare=prepare))
    follows = _teacher.fidelity(workload, student, _teacher.held(workload).x)
    logging.getLogger("trimwatt").info("%s follows its teacher on %.1f %%", technique.student, 100 * follows)
    return student


def spread(probabilities: Array) -> tuple[Array, Array, Array]:
    """(rows, codes, weights): each row once for every class that has its share of it, the shares its weights.

    probabilities (n, k). The most probable class always stays; weights of a row sum to 1.
    """
    kept = probabilities >= _LEAST
    kept[np.arange(len(kept)), probabilities.argmax(axis=1)] = True
    rows, codes = np.nonzero(kept)
    weights = probabilities[rows, codes].astype(np.float64)
    return rows, codes, weights / np.bincount(rows, weights)[rows]


def _estimator(technique: DistillTree, classify: bool, seed: int) -> Any:
    from sklearn import ensemble, tree

    limits = {"max_depth": technique.depth, "min_samples_leaf": technique.leaf, "random_state": seed}
    if technique.student == "tree":
        return (tree.DecisionTreeClassifier if classify else tree.DecisionTreeRegressor)(**limits)
    if technique.student == "forest":
        kind = ensemble.RandomForestClassifier if classify else ensemble.RandomForestRegressor
        return kind(technique.trees, **limits, n_jobs=1)
    boosted = ensemble.HistGradientBoostingClassifier if classify else ensemble.HistGradientBoostingRegressor
    return boosted(max_iter=technique.trees, learning_rate=technique.learning_rate, early_stopping=False, **limits)
