"""Boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trimwatt.errors import InputError
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.classical import _fit
from trimwatt.workload import Workload


@dataclass(frozen=True)
class Boosted(Technique):
    """Histogram gradient boosting.

    rounds: of boosting at most (one tree a class each). leaves: of a tree at most, from 2. learning_rate: in (0, 1].
    """

    name: ClassVar[str] = "boosted"
    family: ClassVar[str] = "boosted"
    reference: ClassVar[str] = "Friedman 2001, doi:10.1214/aos/1013203451; Ke et al. 2017 (LightGBM)"
    gives: ClassVar[str | None] = "sklearn"
    stage: ClassVar[str] = "train"

    rounds: int = 100
    leaves: int = 31
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        _fit.positive_whole("rounds", self.rounds, "trees a class")
        if not isinstance(self.leaves, int) or self.leaves < 2:
            raise InputError(f"leaves is a whole number from 2, got {self.leaves!r}")
        if not 0 < self.learning_rate <= 1:
            raise InputError(f"learning_rate is a share in (0, 1], got {self.learning_rate!r}")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        if self.rounds <= 30:
            return ()
        faster = [round(min(1.0, times * self.learning_rate), 6) for times in (2, 3)]
        return (Boosted(30, 15, faster[0]), Boosted(15, 8, faster[1]))


@applies_to(Boosted, "none", "sklearn", "torch", "onnx")
def _boosted(technique: Boosted, workload: Workload) -> Workload:
    classify, _ = _fit.start(workload)
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    model = kind(
        max_iter=technique.rounds, max_leaf_nodes=technique.leaves, learning_rate=technique.learning_rate,
        random_state=workload.seed,
    )  # fmt: skip
    return _fit.fitted(workload, model, "ordinal")
