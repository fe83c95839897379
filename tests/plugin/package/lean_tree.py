"""A technique as a package of its own would bring it: a small tree on the few columns that tell the classes apart."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import ClassVar

from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique import Technique, applies_to
from trimwatt.workload import Decide, Workload


@dataclass(frozen=True)
class LeanTree(Technique):
    """A decision tree on the `columns` columns with the largest F statistic; rows are one array."""

    name: ClassVar[str] = "lean-tree"
    family: ClassVar[str] = "tree"
    group: ClassVar[str] = "lean"
    stage: ClassVar[str] = "model"  # type: ignore[assignment]
    reference: ClassVar[str] = "Breiman, Friedman, Olshen and Stone 1984; Fisher 1925 (analysis of variance)"
    gives: ClassVar[str | None] = "sklearn"
    books: ClassVar[str] = "train"

    columns: int = 2
    depth: int = 4

    def __post_init__(self) -> None:
        if self.columns < 1 or self.depth < 1:
            raise InputError(f"columns and depth must be integers >= 1, got {self.columns} and {self.depth}")

    def suits(self, workload: Workload) -> str:
        """Rows of named columns have text, which no F statistic reads."""
        if workload.rows.named or workload.rows.kind != "table":
            return "it takes rows that are one array of numbers"
        return "" if workload.rows.classes is not None else "it tells classes apart, and the target is a value"

    def variants(self, workload: Workload) -> tuple[Technique, ...]:
        """Half of the columns, where there are several."""
        return (LeanTree(self.columns // 2, self.depth),) if self.columns > 1 else ()


@applies_to(LeanTree, "none", "sklearn", "torch", "onnx")
def _fit(technique: LeanTree, workload: Workload) -> Workload:
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.pipeline import make_pipeline
    from sklearn.tree import DecisionTreeClassifier

    if workload.rows.classes is None:
        raise TrialFailed("lean-tree tells classes apart, and the target is a value")
    rows = workload.fit_rows
    tree = DecisionTreeClassifier(max_depth=technique.depth, random_state=workload.seed)
    most = min(technique.columns, rows.x.shape[1])
    with warnings.catch_warnings():
        # a column that never changes has no F statistic, and comes last
        warnings.simplefilter("ignore")
        model = make_pipeline(SelectKBest(f_classif, k=most), tree).fit(rows.x, rows.y)
    return replace(
        workload, model=model, form="sklearn", prepare=None, outputs="probabilities", class_columns=None,
        decide=Decide(workload.rows.classes), by_batch=False,
    )  # fmt: skip
