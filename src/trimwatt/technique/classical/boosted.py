"""Boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.technique.classical import _fit
from trimwatt.workload import Workload

_LOSSES = {"squared": "squared_error", "absolute": "absolute_error", "poisson": "poisson"}


@dataclass(frozen=True)
class Boosted(Technique):
    """Histogram gradient boosting.

    rounds: of boosting at most (one tree a class each). leaves: of a tree at most, from 2. learning_rate: in (0, 1].
    leaf: training rows in a leaf at least. l2: penalty on the squared values of leaves. columns: share that each split
    chooses from, in (0, 1]. loss: for values: "squared", "absolute", or "poisson", which learns the logarithm of the
    mean of a target >= 0. target: for values: "as_is" or "log". class_weight: None or "balanced". missing: numbers
    that are missing are "imputed" by the median, or each split learns a way of its "own" for them. early_stopping: from
    10,000 training rows on, hold a tenth of them out and stop where they gain no more; False fits all rounds to all
    rows.
    """

    name: ClassVar[str] = "boosted"
    family: ClassVar[str] = "boosted"
    group: ClassVar[str] = "classical"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "Friedman 2001, doi:10.1214/aos/1013203451; Ke et al. 2017 (LightGBM)"
    gives: ClassVar[str | None] = "sklearn"
    books: ClassVar[str] = "train"

    rounds: int = 100
    leaves: int = 31
    learning_rate: float = 0.1
    leaf: int = 20
    l2: float = 0.0
    columns: float = 1.0
    loss: str = "squared"
    target: str = "as_is"
    class_weight: str | None = None
    missing: str = "imputed"
    early_stopping: bool = True

    def __post_init__(self) -> None:
        _fit.positive_whole("rounds", self.rounds, "trees a class")
        _fit.whole_from("leaves", self.leaves, 2)
        _fit.positive_whole("leaf", self.leaf, "rows in a leaf")
        _fit.from_zero("l2", self.l2)
        _fit.share("learning_rate", self.learning_rate)
        _fit.share("columns", self.columns)
        _fit.one_of("loss", self.loss, tuple(_LOSSES))
        _fit.one_of("target", self.target, _fit.TARGETS)
        _fit.one_of("class_weight", self.class_weight, _fit.CLASS_WEIGHTS)
        _fit.one_of("missing", self.missing, _fit.MISSING)

    def variants(self, workload: Workload) -> Sequence[Technique]:
        if self.rounds <= 30:
            return ()
        faster = [round(min(1.0, times * self.learning_rate), 6) for times in (2, 3)]
        return (Boosted(30, 15, faster[0]), Boosted(15, 8, faster[1]))


@applies_to(Boosted, "none", "sklearn", "torch", "onnx")
def _boosted(technique: Boosted, workload: Workload) -> Workload:
    _fit.start(workload)
    return _fit.fitted(workload, boosted_estimator(technique, workload), "ordinal", missing=technique.missing)


def boosted_estimator(technique: Boosted, workload: Workload) -> Any:
    """scikit-learn's estimator, not fitted yet; raises TrialFailed for a target that its loss does not take."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    common: dict[str, Any] = {
        "max_iter": technique.rounds, "max_leaf_nodes": technique.leaves, "learning_rate": technique.learning_rate,
        "min_samples_leaf": technique.leaf, "l2_regularization": technique.l2, "max_features": technique.columns,
        "early_stopping": "auto" if technique.early_stopping else False, "random_state": workload.seed,
    }  # fmt: skip
    if workload.task.target != "value":
        return HistGradientBoostingClassifier(**common, class_weight=technique.class_weight)
    if technique.loss == "poisson":
        _fit.refuse_negative(workload, "loss='poisson'")
    return _fit.of_target(HistGradientBoostingRegressor(**common, loss=_LOSSES[technique.loss]), technique.target)
