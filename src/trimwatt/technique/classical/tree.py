"""One decision tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.technique.classical import _fit
from trimwatt.workload import Workload


@dataclass(frozen=True)
class Tree(Technique):
    """A decision tree. depth: of splits at most. leaf: training rows in a leaf at least."""

    name: ClassVar[str] = "tree"
    family: ClassVar[str] = "tree"
    group: ClassVar[str] = "classical"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees"
    gives: ClassVar[str | None] = "sklearn"
    books: ClassVar[str] = "train"

    depth: int = 12
    leaf: int = 2

    def __post_init__(self) -> None:
        _fit.positive_whole("depth", self.depth, "splits from root to leaf")
        _fit.positive_whole("leaf", self.leaf, "rows in a leaf")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        return () if self.depth <= 8 else (Tree(depth=8, leaf=max(self.leaf, 5)),)


@applies_to(Tree, "none", "sklearn", "torch", "onnx")
def _tree(technique: Tree, workload: Workload) -> Workload:
    classify, _ = _fit.start(workload)
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeClassifier if classify else DecisionTreeRegressor
    model = kind(max_depth=technique.depth, min_samples_leaf=technique.leaf, random_state=workload.seed)
    return _fit.fitted(workload, model, "ordinal")
