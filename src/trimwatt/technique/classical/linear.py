"""Linear models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trimwatt.errors import InputError
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.classical import _fit
from trimwatt.workload import Workload


@dataclass(frozen=True)
class Linear(Technique):
    """Logistic regression, or ridge regression for values, on standardised numbers and one-hot categories.

    strength: of the penalty on squared weights, above 0 (1 / C of scikit-learn's LogisticRegression, alpha of Ridge).
    """

    name: ClassVar[str] = "linear"
    family: ClassVar[str] = "linear"
    reference: ClassVar[str] = "Cox 1958; Hoerl and Kennard 1970"
    gives: ClassVar[str | None] = "sklearn"
    stage: ClassVar[str] = "train"

    strength: float = 1.0

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise InputError(f"strength is a penalty above 0, got {self.strength!r}; 1 is usual")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        return () if self.strength >= 10 else (Linear(strength=self.strength * 10),)


@applies_to(Linear, "none", "sklearn", "torch", "onnx")
def _linear(technique: Linear, workload: Workload) -> Workload:
    classify, _ = _fit.start(workload)
    from sklearn.linear_model import LogisticRegression, Ridge

    model = (
        LogisticRegression(C=1 / technique.strength, max_iter=1000, random_state=workload.seed)
        if classify
        else Ridge(alpha=technique.strength, random_state=workload.seed)
    )
    return _fit.fitted(workload, model, "scaled")
