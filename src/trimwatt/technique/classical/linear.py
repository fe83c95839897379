"""Linear models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from trimwatt.errors import InputError
from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.technique.classical import _fit
from trimwatt.workload import Workload


@dataclass(frozen=True)
class Linear(Technique):
    """Logistic regression, or ridge regression for values, on standardised numbers and one-hot categories.

    strength: of the penalty on squared weights, above 0 (1 / C of scikit-learn's LogisticRegression, alpha of Ridge).
    target: for values: "as_is" or "log". class_weight: None or "balanced".
    """

    name: ClassVar[str] = "linear"
    family: ClassVar[str] = "linear"
    group: ClassVar[str] = "classical"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "Cox 1958; Hoerl and Kennard 1970"
    gives: ClassVar[str | None] = "sklearn"
    books: ClassVar[str] = "train"

    strength: float = 1.0
    target: str = "as_is"
    class_weight: str | None = None

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise InputError(f"strength is a penalty above 0, got {self.strength!r}; 1 is usual")
        _fit.one_of("target", self.target, _fit.TARGETS)
        _fit.one_of("class_weight", self.class_weight, _fit.CLASS_WEIGHTS)

    def variants(self, workload: Workload) -> Sequence[Technique]:
        return () if self.strength >= 10 else (Linear(strength=self.strength * 10),)


@applies_to(Linear, "none", "sklearn", "torch", "onnx")
def _linear(technique: Linear, workload: Workload) -> Workload:
    classify, _ = _fit.start(workload)
    return _fit.fitted(workload, _estimator(technique, classify, workload.seed), "scaled")


def _estimator(technique: Linear, classify: bool, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    if classify:
        return LogisticRegression(
            C=1 / technique.strength, class_weight=technique.class_weight, max_iter=1000, random_state=seed
        )
    return _fit.of_target(Ridge(alpha=technique.strength, random_state=seed), technique.target)
