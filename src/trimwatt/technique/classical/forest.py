"""Random forests, and extremely randomized trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.technique.classical import _fit
from trimwatt.workload import Workload

# full trees on many rows make tens of megabytes that hardly answer better
_MANY_ROWS, _LEAVES = 10_000, 500


@dataclass(frozen=True)
class _Trees(Technique):
    """What forests share: their parameters."""

    trees: int = 100
    depth: int | None = None
    leaves: int | None = None
    leaf: int = 1
    columns: float | None = None
    target: str = "as_is"
    class_weight: str | None = None

    def __post_init__(self) -> None:
        _fit.positive_whole("trees", self.trees, "the size of the forest")
        _fit.positive_whole("depth", self.depth, "splits from root to leaf")
        _fit.positive_whole("leaves", self.leaves, "leaves of a tree")
        _fit.positive_whole("leaf", self.leaf, "rows in a leaf")
        _fit.share("columns", self.columns)
        _fit.one_of("target", self.target, _fit.TARGETS)
        _fit.one_of("class_weight", self.class_weight, _fit.CLASS_WEIGHTS)


@dataclass(frozen=True)
class Forest(_Trees):
    """A random forest.

    trees: how many. depth: of splits at most, None for no limit. leaves: of a tree at most; None is no limit up to
    10000 training rows and 500 beyond. leaf: training rows in a leaf at least. columns: share that each split chooses
    from, in (0, 1]; None is the square root of their number for classes, all for values. target: for values: "as_is" or
    "log". class_weight: None or "balanced".
    """

    name: ClassVar[str] = "forest"
    family: ClassVar[str] = "forest"
    group: ClassVar[str] = "classical"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "Breiman 2001, doi:10.1023/A:1010933404324"
    gives: ClassVar[str | None] = "sklearn"
    books: ClassVar[str] = "train"

    def variants(self, workload: Workload) -> Sequence[Technique]:
        return () if self.trees <= 30 else (Forest(trees=30, depth=10), Forest(trees=10, depth=8))


@dataclass(frozen=True)
class ExtraTrees(_Trees):
    """Extremely randomized trees: a forest whose splits are drawn by lot, each tree grown on all rows.

    Parameters as of `forest`.
    """

    name: ClassVar[str] = "extra-trees"
    family: ClassVar[str] = "forest"
    group: ClassVar[str] = "classical"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "Geurts, Ernst and Wehenkel 2006, doi:10.1007/s10994-006-6226-1"
    gives: ClassVar[str | None] = "sklearn"
    books: ClassVar[str] = "train"

    def variants(self, workload: Workload) -> Sequence[Technique]:
        return () if self.trees <= 30 else (ExtraTrees(trees=30, depth=12),)


@applies_to(Forest, "none", "sklearn", "torch", "onnx")
def _forest(technique: Forest, workload: Workload) -> Workload:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return _grown(technique, workload, RandomForestClassifier, RandomForestRegressor)


@applies_to(ExtraTrees, "none", "sklearn", "torch", "onnx")
def _extra_trees(technique: ExtraTrees, workload: Workload) -> Workload:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    return _grown(technique, workload, ExtraTreesClassifier, ExtraTreesRegressor)


def _grown(technique: _Trees, workload: Workload, classifier: Any, regressor: Any) -> Workload:
    classify, rows = _fit.start(workload)
    leaves = technique.leaves if technique.leaves or rows <= _MANY_ROWS else _LEAVES
    usual = "sqrt" if classify else 1.0
    common: dict[str, Any] = {
        "n_estimators": technique.trees, "max_depth": technique.depth, "max_leaf_nodes": leaves,
        "min_samples_leaf": technique.leaf, "max_features": technique.columns or usual, "n_jobs": 1,
        "random_state": workload.seed,
    }  # fmt: skip
    if classify:
        return _fit.fitted(workload, classifier(**common, class_weight=technique.class_weight), "ordinal")
    return _fit.fitted(workload, _fit.of_target(regressor(**common), technique.target), "ordinal")
