"""scikit-learn estimators: scores, size, and taking in one that the user gave."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import classes as class_lists
from trimwatt.framework.prepare import StackPrepare
from trimwatt.framework.rows import to_frame
from trimwatt.workload import Array, Outputs, Rows, Split, Told, Workload


def given(workload: Workload, rows: Rows) -> Any:
    """What the estimator takes for rows as stored: the prepared array, the array itself, or a DataFrame."""
    if workload.prepare is not None:
        return workload.prepare.transform(rows)
    return to_frame(known_columns(workload.model, rows)) if isinstance(rows, dict) else rows


def known_columns(estimator: Any, rows: dict[str, Array]) -> dict[str, Array]:
    """The columns the estimator was fitted on, in its order; all of them where it does not say.

    Raises InputError where one is missing.
    """
    names = [str(name) for name in getattr(estimator, "feature_names_in_", rows)]
    missing = [name for name in names if name not in rows]
    if missing:
        have = ", ".join(list(rows)[:6]) + (" ..." if len(rows) > 6 else "")
        raise InputError(
            f"the model was fitted on a column {missing[0]!r}, the data have {have}; give the same columns"
        )
    return {name: rows[name] for name in names}


def _stacked(estimator: Any, rows: Rows) -> StackPrepare | None:
    """Columns side by side for an estimator that was fitted on an array of as many numbers."""
    if not isinstance(rows, dict) or hasattr(estimator, "feature_names_in_"):
        return None
    numbers = all(column.dtype.kind not in "OUST" for column in rows.values())
    return StackPrepare(tuple(rows)) if numbers and getattr(estimator, "n_features_in_", None) == len(rows) else None


def raw(estimator: Any, outputs: Outputs, rows: Any) -> Array:
    """Probabilities (n, k), decision values (n, k) or (n,), or values (n,)."""
    ask = {"probabilities": "predict_proba", "logits": "decision_function", "values": "predict"}[outputs]
    return np.asarray(getattr(estimator, ask)(rows))


def scores(workload: Workload, rows: Rows) -> Array:
    """Probabilities (n, k) in the order of the classes, or values (n,)."""
    return workload.probabilities(raw(workload.model, workload.outputs, given(workload, rows)))


def training_rows(workload: Workload) -> Split:
    """What a model may be fitted on: all training rows, or those that no threshold will be set on."""
    data = workload.rows
    return data.holdout(workload.seed)[0] if workload.needs_threshold else data.train


def adopt(workload: Workload, told: Told | None = None) -> Workload:
    """The workload with the user's estimator or pipeline checked on a few rows; one not fitted yet is fitted.

    The one given is left as it was. Raises InputError where it does not fit the data.
    """
    told = told or Told()
    if told.outputs is not None:
        raise InputError("a scikit-learn model says itself what it answers with; leave outputs out")
    require("sklearn", "sklearn", "A scikit-learn model")
    estimator = _fitted(workload)
    workload = replace(workload, prepare=workload.prepare or _stacked(estimator, workload.rows.train.x))
    classes = workload.rows.classes
    if classes is None:
        adopted = replace(workload, model=estimator, form="sklearn", outputs="values", class_columns=None, decide=None)
    else:
        known = tuple(item.item() if isinstance(item, np.generic) else item for item in estimator.classes_)
        named = class_lists.assign(replace(workload, class_columns=None), len(known), told, known)
        adopted = replace(named, model=estimator, form="sklearn", outputs=_outputs(estimator))
    _try(adopted)
    return adopted


def is_vector_machine(estimator: Any) -> bool:
    """Whether labels come from a support vector machine with kernels."""
    return type(last_step(estimator)).__name__ in ("SVC", "NuSVC")


def _outputs(estimator: Any) -> Outputs:
    # a SVC's probabilities come from a second model that may contradict its own labels
    if hasattr(estimator, "predict_proba") and not is_vector_machine(estimator):
        return "probabilities"
    if hasattr(estimator, "decision_function"):
        return "logits"
    kind = type(estimator).__name__
    raise InputError(f"{kind} gives no scores of classes; wrap it in sklearn.calibration.CalibratedClassifierCV")


def is_fitted(estimator: Any) -> bool:
    """Whether it has been fitted."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def check_task(workload: Workload) -> None:
    """Raise InputError for a regressor where classes are asked, or a classifier where values are."""
    from sklearn.base import is_classifier, is_regressor

    estimator = workload.model
    if is_classifier(estimator) if workload.rows.classes is None else is_regressor(estimator):
        raise InputError(f"the task is {workload.task}, and {type(estimator).__name__} is for the other; set --task")


def _fitted(workload: Workload) -> Any:
    from sklearn.base import clone

    check_task(workload)
    estimator, classes = workload.model, workload.rows.classes
    if is_fitted(estimator):
        return estimator
    part = training_rows(workload)
    target = part.y if classes is None else np.asarray(classes)[part.y]
    return quietly_fitted(clone(estimator), given(workload, part.x), target)


def quietly_fitted(estimator: Any, rows: Any, target: Array) -> Any:
    """The estimator, fitted (in place); raises TrialFailed with scikit-learn's reason."""
    from sklearn.exceptions import ConvergenceWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return estimator.fit(rows, target)
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise TrialFailed(f"{type(estimator).__name__} cannot be fitted on these rows: {reason}") from error


def _try(workload: Workload) -> None:
    few = workload.rows.train.take(slice(0, 8))
    name = type(workload.model).__name__
    try:
        got = scores(workload, few.x)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{name} cannot take the rows as they are stored: {reason}; give a pipeline that can"
        ) from error
    if not np.isfinite(got).all():
        raise InputError(f"{name} answers with NaN or infinity on the data's own rows; fit it again")


def parameters(workload: Workload) -> int | None:
    """Fitted numbers: weights, thresholds and leaves of trees, kept rows of neighbours; None where not known."""
    estimator = last_step(workload.model)
    if hasattr(estimator, "coefs_"):
        return sum(int(a.size) for a in (*estimator.coefs_, *estimator.intercepts_))
    if hasattr(estimator, "coef_") and hasattr(estimator, "intercept_"):
        return int(np.size(estimator.coef_) + np.size(estimator.intercept_))
    if hasattr(estimator, "_fit_X"):
        return int(estimator._fit_X.size)
    trees = _trees(estimator)
    return sum(splits + leaves for splits, leaves in trees) if trees else None


def _trees(estimator: Any) -> list[tuple[int, int]]:
    """(splits, numbers in leaves) of each tree; the share of one of two classes is the rest of the other's."""
    if hasattr(estimator, "_predictors"):
        nodes = [tree.nodes for stage in estimator._predictors for tree in stage]
        return [(int((~n["is_leaf"].astype(bool)).sum()), int(n["is_leaf"].sum())) for n in nodes]
    members = np.ravel(getattr(estimator, "estimators_", [estimator]))
    return [_splits_and_leaves(member.tree_) for member in members if hasattr(member, "tree_")]


def _splits_and_leaves(tree: Any) -> tuple[int, int]:
    answers = math.prod(tree.value.shape[1:])
    filled = int(np.count_nonzero(tree.value[tree.children_left < 0])) if answers > 2 else int(tree.n_leaves)
    return tree.node_count - int(tree.n_leaves), filled


def macs(workload: Workload) -> int | None:
    """Multiply-accumulates for one row; None for trees and what is not known."""
    estimator = last_step(workload.model)
    if hasattr(estimator, "coefs_"):
        return sum(int(a.size) for a in estimator.coefs_)
    if hasattr(estimator, "coef_"):
        return int(np.size(estimator.coef_))
    return int(estimator._fit_X.size) if hasattr(estimator, "_fit_X") else None


def last_step(estimator: Any) -> Any:
    """The model at the end of a pipeline."""
    return last_step(estimator.steps[-1][1]) if hasattr(estimator, "steps") else estimator
