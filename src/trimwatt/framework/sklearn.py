"""scikit-learn estimators: scores, size, and taking in one that the user gave."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed, TrimwattError, first_line
from trimwatt.framework import classes as class_lists
from trimwatt.framework import decision, meaning
from trimwatt.framework.each import Each, members
from trimwatt.framework.logged import without_log
from trimwatt.framework.prepare import StackPrepare
from trimwatt.framework.rows import own_frame
from trimwatt.framework.undisturbed import copy_to_ask, undisturbed
from trimwatt.rows.columns import kind_of
from trimwatt.workload import Array, Outputs, Rows, Stored, Told, Workload, count, take

_PROBE = 500
_MANY_CELLS = 1_000_000


def given(workload: Workload, rows: Rows) -> Any:
    """What the estimator takes for rows as stored: the prepared array, the array itself, or a DataFrame."""
    if workload.prepare is not None:
        return workload.prepare.transform(rows)
    return own_frame(known_columns(workload.model, rows)) if isinstance(rows, dict) else rows


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
    return rows.only(names) if isinstance(rows, Stored) else {name: rows[name] for name in names}


def _stacked(estimator: Any, rows: Rows) -> StackPrepare | None:
    """Columns side by side for an estimator that was fitted on an array of as many numbers."""
    if not isinstance(rows, dict) or hasattr(estimator, "feature_names_in_"):
        return None
    numbers = all(kind_of(column) == "number" for column in rows.values())
    return StackPrepare.of(rows) if numbers and getattr(estimator, "n_features_in_", None) == len(rows) else None


def raw(estimator: Any, outputs: Outputs, rows: Any, classes: tuple[Any, ...] = ()) -> Array:
    """Probabilities (n, k), decision values (n, k) or (n,), or values (n,).

    An estimator that has labels only gives probabilities of 0 and 1. classes: those of the data, for an estimator that
    does not keep its own.
    """
    if outputs == "values":
        return np.asarray(estimator.predict(rows))
    if outputs == "logits":
        return np.asarray(estimator.decision_function(rows))
    if decision.score_method(estimator) == "predict_proba":
        return np.asarray(estimator.predict_proba(rows))
    return decision.one_hot(estimator.predict(rows), decision.known_classes(estimator, classes))


def scores(workload: Workload, rows: Rows) -> Array:
    """Probabilities (n, k) in the order of the classes, or values (n,)."""
    classes = workload.decide.classes if workload.decide else ()
    parts = [
        raw(workload.model, workload.outputs, given(workload, part), classes) for part in workload.in_batches(rows)
    ]
    return workload.probabilities(np.concatenate(parts)[: count(rows)])


def labels(workload: Workload, rows: Rows) -> Array:
    """Labels (n,) by the estimator's own predict, or by a threshold that was fitted to it here."""
    decide = workload.decide
    if decide is None:
        return scores(workload, rows)
    if decide.threshold is not None and not decide.own:
        return decide.labels(scores(workload, rows))
    return np.asarray(np.asarray(decide.classes)[own_codes(workload, rows)])


def own_codes(workload: Workload, rows: Rows) -> Array:
    """Class codes (n,) of the labels that the estimator's own predict answers."""
    classes = workload.decide.classes if workload.decide else workload.rows.classes or ()
    known = decision.known_classes(workload.model, classes)
    parts = [workload.model.predict(given(workload, part)) for part in workload.in_batches(rows)]
    codes = np.concatenate([decision.codes_of(part, known) for part in parts])[: count(rows)]
    return codes if workload.class_columns is None else np.asarray(workload.class_columns)[codes]


def adopt(workload: Workload, told: Told | None = None) -> Workload:
    """The workload with the user's estimator or pipeline checked on a few rows; one not fitted yet is fitted.

    The one given is left as it was. Raises InputError where it does not fit the data.
    """
    told = told or Told()
    if told.outputs is not None:
        raise InputError("a scikit-learn model says itself what it answers with; leave outputs out")
    require("sklearn", "sklearn", "A scikit-learn model")
    # nothing that the study does with it changes the user's own
    estimator = copy_to_ask(_fitted(workload))
    workload = replace(workload, prepare=workload.prepare or _stacked(estimator, workload.rows.train.x))
    classes = workload.rows.classes or ()
    if workload.task.target == "value":
        adopted = replace(workload, model=estimator, form="sklearn", outputs="values", class_columns=None, decide=None)
    else:
        known = tuple(decision.known_classes(estimator, classes))
        own, width = known if getattr(estimator, "classes_", None) is not None else None, len(known)
        evidence = partial(_answered, replace(workload, model=estimator), known)
        named = class_lists.assign(replace(workload, class_columns=None), width, told, own, evidence)
        adopted = replace(named, model=estimator, form="sklearn", outputs=_outputs(estimator))
    return _tried(adopted)


def _answered(workload: Workload, known: Sequence[Any]) -> tuple[Array, Array] | None:
    """For rows of training and validation the place in `known` of the estimator's own label, and the class code."""
    rows, codes = meaning.choose_rows(workload.rows)
    estimator = copy_to_ask(workload.model)
    try:
        with undisturbed(estimator):
            predicted = estimator.predict(given(workload, rows))
        return decision.codes_of(predicted, list(known)), codes
    except Exception:  # an estimator may raise anything; that it cannot answer is said where it is tried
        return None


def _outputs(estimator: Any) -> Outputs:
    return "logits" if decision.score_method(estimator) == "decision_function" else "probabilities"


def is_fitted(estimator: Any) -> bool:
    """Whether it has been fitted; raises InputError for an object that scikit-learn cannot tell this of."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    except Exception as error:  # an estimator of the user's own may raise anything
        name = type(estimator).__name__
        raise InputError(
            f"{name} is no estimator that scikit-learn can use: {first_line(error)}; give one with fit and predict"
        ) from error
    return True


def check_task(workload: Workload) -> None:
    """Raise InputError for a model that cannot answer what is asked: of another task, or without predict."""
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    estimator, name = workload.model, type(workload.model).__name__
    # some that are not fitted yet have no predict before they are
    if not hasattr(estimator, "predict") and not hasattr(estimator, "fit_predict") and is_fitted(estimator):
        raise InputError(f"{name} has no predict, so it gives no answers; give a pipeline that ends in a model")
    if is_clusterer(estimator) or is_outlier_detector(estimator):
        what = "numbers of clusters" if is_clusterer(estimator) else "inlier or outlier"
        target = "values" if workload.task.target == "value" else "classes"
        raise InputError(
            f"{name} answers {what}, and was not fitted on the {target} that the data have as target; give the "
            f"answers of {name} as the target (y=model.predict(x)) without the model, or a model fitted on the target"
        )
    if is_classifier(estimator) if workload.task.target == "value" else is_regressor(estimator):
        raise InputError(f"the task is {workload.task.name}, and {name} is for the other; set --task")


def _fitted(workload: Workload) -> Any:
    from sklearn.base import clone

    check_task(workload)
    estimator, data = workload.model, workload.rows
    if is_fitted(estimator):
        return estimator
    part = workload.fit_rows
    return quietly_fitted(clone(estimator), given(workload, part.x), data.task.decode(part.y, data.classes))


def quietly_fitted(estimator: Any, rows: Any, target: Array, **more: Any) -> Any:
    """The estimator, fitted (in place); raises TrialFailed with scikit-learn's reason. more: for its fit."""
    from sklearn.exceptions import ConvergenceWarning

    try:
        with warnings.catch_warnings(), _fitting_threads(rows):
            warnings.simplefilter("ignore", ConvergenceWarning)
            return estimator.fit(rows, target, **more)
    except ValueError as error:
        reason = first_line(error)
        raise TrialFailed(f"{type(estimator).__name__} cannot be fitted on these rows: {reason}") from error


@contextlib.contextmanager
def _fitting_threads(rows: Any) -> Iterator[None]:
    """One thread for a small array: several spend more on waiting for each other than they save.

    Boosting on 2,000 rows of 10 columns takes 1.8 times the CPU time on two threads, on 100,000 of 30 the same.
    """
    if np.size(rows) >= _MANY_CELLS:
        yield
        return
    import threadpoolctl  # type: ignore[import-untyped]

    with threadpoolctl.threadpool_limits(1):
        yield


def _tried(workload: Workload) -> Workload:
    """The workload once its estimator has answered some rows, with its own rule of labels; raises InputError."""
    some = workload.rows.train.take(slice(0, _PROBE))
    name = type(workload.model).__name__
    asked = replace(workload, model=copy_to_ask(workload.model))
    try:
        with undisturbed(asked.model):
            _check_shape(asked, take(some.x, slice(0, 8)))
            got = scores(asked, some.x)
            codes = own_codes(asked, some.x) if workload.decide is not None else None
    except TrimwattError:
        raise
    except Exception as error:  # an estimator may raise anything
        raise InputError(
            f"{name} cannot take the rows as they are stored: {first_line(error)}; give a pipeline that can"
        ) from error
    if not np.isfinite(got).all():
        raise InputError(f"{name} answers with NaN or infinity on the data's own rows; fit it again")
    if workload.decide is None or codes is None or workload.decide.threshold is not None:
        return workload
    return replace(workload, decide=decision.own_threshold(workload, workload.decide, got, codes))


def _check_shape(workload: Workload, rows: Rows) -> None:
    """One answer per row, one score per class."""
    name, n = type(workload.model).__name__, count(rows)
    wanted = len(decision.known_classes(workload.model, workload.rows.classes or ()))
    predicted = np.asarray(workload.model.predict(given(workload, rows)))
    if predicted.shape not in ((n,), (n, 1)):
        raise InputError(f"{name} predicts shape {predicted.shape} for {n} rows; one answer per row is needed")
    if workload.decide is None:
        return
    classes = workload.rows.classes or ()
    shape = raw(workload.model, workload.outputs, given(workload, rows), classes).shape
    if shape != (n, wanted) and not (wanted == 2 and shape in ((n,), (n, 1))):
        method = decision.score_method(workload.model)
        raise InputError(f"{name}.{method} gives shape {shape} for {n} rows; ({n}, {wanted}) is needed, one per class")


def parameters(workload: Workload) -> int | None:
    """Fitted numbers: weights, thresholds and leaves of trees, kept rows of neighbours; None where not known."""
    estimator = last_step(workload.model)
    if isinstance(estimator, Each):
        return _total(parameters, workload, estimator)
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
    members = _members(estimator)
    return [_splits_and_leaves(member.tree_) for member in members if hasattr(member, "tree_")]


def _members(estimator: Any) -> list[Any]:
    """The trees of an ensemble; the estimator alone where its members are of several kinds."""
    inside = getattr(estimator, "estimators_", [estimator])
    if isinstance(inside, np.ndarray):
        return list(inside.ravel())
    return list(inside) if len({type(member) for member in inside}) == 1 else [estimator]


def _splits_and_leaves(tree: Any) -> tuple[int, int]:
    answers = math.prod(tree.value.shape[1:])
    filled = int(np.count_nonzero(tree.value[tree.children_left < 0])) if answers > 2 else int(tree.n_leaves)
    return tree.node_count - int(tree.n_leaves), filled


def macs(workload: Workload) -> int | None:
    """Multiply-accumulates for one row; None for trees and what is not known."""
    estimator = last_step(workload.model)
    if isinstance(estimator, Each):
        return _total(macs, workload, estimator)
    if hasattr(estimator, "coefs_"):
        return sum(int(a.size) for a in estimator.coefs_)
    if hasattr(estimator, "coef_"):
        return int(np.size(estimator.coef_))
    return int(estimator._fit_X.size) if hasattr(estimator, "_fit_X") else None


def _total(size: Callable[[Workload], int | None], workload: Workload, estimator: Each) -> int | None:
    """The sizes of the classifiers of all labels together; None where one is not known."""
    sizes = [size(replace(workload, model=member)) for member in members(estimator)]
    return None if any(one is None for one in sizes) else sum(one for one in sizes if one is not None)


def last_step(estimator: Any) -> Any:
    """The model at the end of a pipeline, that of a logarithm without it."""
    estimator = without_log(estimator)
    return last_step(estimator.steps[-1][1]) if hasattr(estimator, "steps") else estimator


def first_step(estimator: Any) -> Any:
    """What rows enter at the beginning of a pipeline."""
    return first_step(estimator.steps[0][1]) if hasattr(estimator, "steps") else estimator
