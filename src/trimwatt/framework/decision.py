"""How a scikit-learn estimator decides: which method gives the scores of its classes, and its own rule for labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.workload import Array, Decide, Workload

_SCORES = ("predict_proba", "decision_function")
# beyond this the sigmoid of a decision value is 0 or 1 in single precision
_STEEP = 12.0


def final(estimator: Any) -> Any:
    """The model at the end of a pipeline or inside a search over parameters."""
    while True:
        if getattr(estimator, "steps", None):
            estimator = estimator.steps[-1][1]
        elif getattr(estimator, "best_estimator_", None) is not None:
            estimator = estimator.best_estimator_
        else:
            return estimator


def is_vector_machine(estimator: Any) -> bool:
    """Whether labels come from a support vector machine with kernels."""
    return type(final(estimator)).__name__ in ("SVC", "NuSVC")


def score_method(estimator: Any) -> str:
    """The method that gives one score per class; "predict" where there are labels only."""
    return next((name for name in _wanted(final(estimator)) if hasattr(estimator, name)), "predict")


def _wanted(model: Any) -> tuple[str, ...]:
    if _has_threshold(model):
        return _SCORES if model.response_method == "auto" else (str(model.response_method),)
    if is_vector_machine(model):
        # its probabilities come from a second model that may contradict its labels; "ovo" scores pairs, not classes
        return _SCORES[1:] if model.decision_function_shape == "ovr" or len(model.classes_) == 2 else ()
    return _SCORES


def known_classes(estimator: Any, classes: tuple[Any, ...]) -> list[Any]:
    """The labels that the estimator answers with, in the order of its columns; those of the data where it has none.

    Raises InputError for an estimator of several targets.
    """
    known = getattr(estimator, "classes_", None)
    if known is None:
        return list(classes)
    if isinstance(known, list) and known and np.ndim(known[0]) > 0:
        raise InputError(
            f"{type(estimator).__name__} predicts {len(known)} targets, trimwatt one; give a model of one target"
        )
    return [item.item() if isinstance(item, np.generic) else item for item in known]


def codes_of(answer: Any, known: list[Any]) -> Array:
    """The place in `known` of each label of `answer` (n,); raises InputError for a label that is not there."""
    place = {label: code for code, label in enumerate(known)}
    labels = np.asarray(answer).reshape(-1).tolist()
    try:
        return np.fromiter((place[label] for label in labels), dtype=np.int64, count=len(labels))
    except KeyError as error:
        raise InputError(
            f"the model's predict answers {error.args[0]!r}, its classes are {few(known)}; "
            "let predict answer with the labels of the data"
        ) from error


def one_hot(answer: Any, known: list[Any]) -> Array:
    """Labels as probabilities of 0 and 1 (n, k), for an estimator that has nothing else."""
    return np.eye(len(known), dtype=np.float32)[codes_of(answer, known)]


def few(labels: Any) -> str:
    """The first labels, for a message."""
    words = [repr(label) for label in labels]
    return ", ".join(words[:5]) + (" ..." if len(words) > 5 else "")


def own_threshold(workload: Workload, plain: Decide, scores: Array, codes: Array) -> Decide:
    """`plain` with the estimator's own threshold, where it has one and that reproduces its labels.

    scores: probabilities (n, 2) of some rows in the order of the data's classes. codes: its own labels of them (n,).
    """
    model = final(workload.model)
    share = _threshold(model, workload.outputs)
    if share is None or len(plain.classes) != 2:
        return plain
    columns = workload.class_columns or (0, 1)
    told = _positive(model)
    places = (1, 0) if told is None else (told,)
    fitting = [decide for place in places if _explains(decide := Decide(
        plain.classes, share, columns[place], own=True), scores, codes)]  # fmt: skip
    # where either class could be the positive one, its labels are left to its own predict
    return fitting[0] if len(fitting) == 1 else plain


def _explains(decide: Decide, scores: Array, codes: Array) -> bool:
    return np.array_equal(decide.codes(scores), codes)


def _positive(model: Any) -> int | None:
    """The column of the class that the threshold chooses, None where that cannot be told."""
    label = getattr(model, "pos_label", None)
    if not hasattr(model, "pos_label"):
        try:
            label = model._curve_scorer._get_pos_label()
        except AttributeError:
            return None
    known = np.asarray(model.classes_).tolist()
    return 1 if label is None else known.index(label) if label in known else None


def _has_threshold(model: Any) -> bool:
    return any(base.__name__ == "BaseThresholdClassifier" for base in type(model).__mro__)


def _threshold(model: Any, outputs: str) -> float | None:
    """The threshold of a threshold classifier as a probability, None where it has none or none that is exact."""
    if not _has_threshold(model):
        return None
    value = getattr(model, "best_threshold_", getattr(model, "threshold", "auto"))
    if outputs == "probabilities":
        return 0.5 if value == "auto" else float(value)
    limit = 0.0 if value == "auto" else float(value)
    return float(1 / (1 + np.exp(-limit))) if abs(limit) < _STEEP else None


def without_threshold(estimator: Any) -> Any:
    """The estimator with the model inside a threshold classifier in its place: the same scores, for exports."""
    if getattr(estimator, "steps", None):
        steps = [*estimator.steps[:-1], (estimator.steps[-1][0], without_threshold(estimator.steps[-1][1]))]
        return estimator if steps[-1][1] is estimator.steps[-1][1] else type(estimator)(steps)
    if getattr(estimator, "best_estimator_", None) is not None:
        inner = without_threshold(estimator.best_estimator_)
        return estimator if inner is estimator.best_estimator_ else inner
    if not _has_threshold(estimator):
        return estimator
    return without_threshold(getattr(estimator, "estimator_", estimator.estimator))
