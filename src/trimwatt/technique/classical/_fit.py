"""What all classical models share: preprocessing, fitting, and what they answer with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import sklearn as framework
from trimwatt.framework.each import Each
from trimwatt.framework.logged import LogTarget
from trimwatt.framework.prepare import Kind, fit_prepare, keep_missing
from trimwatt.workload import Array, Data, Outputs, Prepare, Workload

TARGETS, CLASS_WEIGHTS, MISSING = ("as_is", "log"), (None, "balanced"), ("imputed", "own")


def start(workload: Workload) -> tuple[bool, int]:
    """Whether classes are asked, and how many rows there are to fit on."""
    require("sklearn", "sklearn", "A classical model")
    return workload.task.target != "value", len(workload.fit_rows)


def fitted(
    workload: Workload, estimator: Any, kind: Kind, most: int | None = None, missing: str = "imputed"
) -> Workload:
    """The workload with `estimator` fitted on training rows prepared as `kind`.

    most: rows to fit on at most, a seeded sample of the training rows that keeps the shares of the classes.
    """
    data = workload.rows
    prepare = prepared(data, kind, missing)
    part = workload.fit_rows
    if most is not None and len(part) > most:
        part = replace(data, train=part).sampled(workload.seed, most)
    estimator = Each(estimator) if workload.task.target == "labels" else estimator
    fit_again(estimator, prepare.transform(part.x), part.y)
    return answering(replace(workload, model=estimator, prepare=prepare))


def prepared(data: Data, kind: Kind, missing: str) -> Prepare:
    """Preprocessing fitted on training rows, which imputes missing numbers or leaves them to the model."""
    prepare = fit_prepare(data, kind)
    return keep_missing(prepare) if missing == "own" else prepare


def answering(workload: Workload) -> Workload:
    """The workload with what its estimator, fitted on codes, answers with."""
    data = workload.rows
    workload = replace(workload, form="sklearn", trainer=None, rebuild=None, by_batch=False)
    # the positive class is the study's choice; a threshold fitted for another model is not
    decide = data.task.decision(data, workload.decide.positive if workload.decide else None)
    if data.task.target != "class":
        outputs: Outputs = "values" if data.task.target == "value" else "probabilities"
        return replace(workload, outputs=outputs, class_columns=None, decide=decide)
    codes = tuple(int(code) for code in workload.model.classes_)
    columns = None if codes == tuple(range(len(data.classes or ()))) else codes
    return replace(workload, outputs="probabilities", class_columns=columns, decide=decide)


def of_target(regressor: Any, target: str) -> Any:
    """The regressor, on the target as it is or on its logarithm."""
    return LogTarget(regressor) if target == "log" else regressor


def fit_again(estimator: Any, rows: Array, truth: Array) -> Any:
    """An estimator of this folder, fitted on prepared rows (in place).

    A network for values is fitted on the standardised target, with the scale folded into its last layer.
    """
    if isinstance(estimator, Each):
        return estimator.fit_by(lambda one, codes: fit_again(one, rows, codes), truth)
    if isinstance(estimator, LogTarget):
        return estimator.fit_by(lambda logs: fit_again(estimator.regressor, rows, logs), truth)
    if type(estimator).__name__ != "MLPRegressor":
        return framework.quietly_fitted(estimator, rows, truth)
    mean, spread = float(truth.mean()), flat(truth)
    framework.quietly_fitted(estimator, rows, (truth - mean) / spread)
    estimator.coefs_[-1] = estimator.coefs_[-1] * spread
    estimator.intercepts_[-1] = estimator.intercepts_[-1] * spread + mean
    return estimator


def refuse_negative(workload: Workload, what: str) -> None:
    """Raise TrialFailed where training targets are below 0, or all 0."""
    least, most = float(workload.rows.train.y.min()), float(workload.rows.train.y.max())
    if least < 0 or most <= 0:
        raise TrialFailed(f"{what} needs targets >= 0 that are not all 0, and they go from {least:g} to {most:g}")


def positive_whole(name: str, number: int | None, why: str) -> None:
    """Raise InputError unless `number` is None or a whole number from 1."""
    if number is not None and (not isinstance(number, int) or number < 1):
        raise InputError(f"{name} is {why}, a whole number from 1, got {number!r}")


def whole_from(name: str, number: int, least: int) -> None:
    """Raise InputError unless `number` is a whole number from `least`."""
    if not isinstance(number, int) or number < least:
        raise InputError(f"{name} is a whole number from {least}, got {number!r}")


def share(name: str, number: float | None) -> None:
    """Raise InputError unless `number` is None or in (0, 1]."""
    if number is not None and not 0 < number <= 1:
        raise InputError(f"{name} is a share in (0, 1], got {number!r}")


def from_zero(name: str, number: float) -> None:
    """Raise InputError unless `number` is 0 or more, and finite."""
    if not 0 <= number < float("inf"):
        raise InputError(f"{name} must be a number >= 0, got {number!r}")


def one_of(name: str, value: str | None, allowed: Sequence[str | None]) -> None:
    """Raise InputError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise InputError(f"{name} is {', '.join(map(str, allowed))}, got {value!r}")


def flat(values: Array) -> float:
    """Spread of a target, 1 where it is constant."""
    return float(values.std()) or 1.0
