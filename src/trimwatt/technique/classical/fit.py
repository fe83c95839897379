"""A scikit-learn estimator that was given unfitted, fitted as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.framework import sklearn as framework
from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.workload import Workload


@dataclass(frozen=True)
class Fit(Technique):
    """Fit the estimator or pipeline that was given, on the rows as they are stored; one that is fitted stays so."""

    name: ClassVar[str] = "fit"
    family: ClassVar[str] = "training"
    group: ClassVar[str] = "classical"
    stage: ClassVar[Stage] = "train"
    reference: ClassVar[str] = "scikit-learn's fit, with the parameters the estimator came with"
    needs: ClassVar[frozenset[str]] = frozenset({"sklearn"})
    books: ClassVar[str] = "train"


@applies_to(Fit, "sklearn")
def _fit(technique: Fit, workload: Workload) -> Workload:
    require("sklearn", "sklearn", "A scikit-learn model")
    return framework.adopt(workload)
