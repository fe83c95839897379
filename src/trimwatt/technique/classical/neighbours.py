"""Nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.technique.classical import _fit
from trimwatt.workload import Workload


@dataclass(frozen=True)
class Neighbours(Technique):
    """The mean answer of the nearest training rows. k: how many. rows: kept at most, a seeded sample."""

    name: ClassVar[str] = "neighbours"
    family: ClassVar[str] = "neighbours"
    group: ClassVar[str] = "classical"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "Cover and Hart 1967, doi:10.1109/TIT.1967.1053964"
    gives: ClassVar[str | None] = "sklearn"
    books: ClassVar[str] = "train"

    k: int = 5
    rows: int = 5000

    def __post_init__(self) -> None:
        _fit.positive_whole("k", self.k, "neighbours asked")
        _fit.positive_whole("rows", self.rows, "training rows kept")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        return () if self.rows <= 500 else (Neighbours(k=self.k, rows=500),)


@applies_to(Neighbours, "none", "sklearn", "torch", "onnx")
def _neighbours(technique: Neighbours, workload: Workload) -> Workload:
    classify, rows = _fit.start(workload)
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    kind = KNeighborsClassifier if classify else KNeighborsRegressor
    model = kind(n_neighbors=min(technique.k, rows, technique.rows), algorithm="brute", n_jobs=1)
    return _fit.fitted(workload, model, "scaled", technique.rows)
