"""Random forests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.classical import _fit
from trimwatt.workload import Workload

# full trees on many rows make tens of megabytes that hardly answer better
_MANY_ROWS, _LEAVES = 10_000, 500


@dataclass(frozen=True)
class Forest(Technique):
    """A random forest.

    trees: how many. depth: of splits at most, None for no limit. leaves: of a tree at most; None is no limit up to
    10000 training rows and 500 beyond.
    """

    name: ClassVar[str] = "forest"
    family: ClassVar[str] = "forest"
    reference: ClassVar[str] = "Breiman 2001, doi:10.1023/A:1010933404324"
    gives: ClassVar[str | None] = "sklearn"
    stage: ClassVar[str] = "train"

    trees: int = 100
    depth: int | None = None
    leaves: int | None = None

    def __post_init__(self) -> None:
        _fit.positive_whole("trees", self.trees, "the size of the forest")
        _fit.positive_whole("depth", self.depth, "splits from root to leaf")
        _fit.positive_whole("leaves", self.leaves, "leaves of a tree")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        return () if self.trees <= 30 else (Forest(trees=30, depth=10), Forest(trees=10, depth=8))


@applies_to(Forest, "none", "sklearn", "torch", "onnx")
def _forest(technique: Forest, workload: Workload) -> Workload:
    classify, rows = _fit.start(workload)
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if classify else RandomForestRegressor
    leaves = technique.leaves if technique.leaves or rows <= _MANY_ROWS else _LEAVES
    model = kind(
        n_estimators=technique.trees, max_depth=technique.depth, max_leaf_nodes=leaves, n_jobs=1,
        random_state=workload.seed,
    )  # fmt: skip
    return _fit.fitted(workload, model, "ordinal")
