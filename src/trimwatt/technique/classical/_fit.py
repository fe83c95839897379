"""What all classical models share: preprocessing, fitting, and what they answer with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.framework import sklearn as framework
from trimwatt.framework.prepare import Kind, fit_prepare
from trimwatt.workload import Array, Decide, Workload


def start(workload: Workload) -> tuple[bool, int]:
    """Whether classes are asked, and how many rows there are to fit on."""
    require("sklearn", "sklearn", "A classical model")
    return workload.rows.classes is not None, len(framework.training_rows(workload))


def fitted(workload: Workload, estimator: Any, kind: Kind, most: int | None = None) -> Workload:
    """The workload with `estimator` fitted on training rows prepared as `kind`.

    most: rows to fit on at most, a seeded sample of the training rows that keeps the shares of the classes.
    """
    data = workload.rows
    prepare = fit_prepare(data, kind)
    part = framework.training_rows(workload)
    if most is not None and len(part) > most:
        part = replace(data, train=part).sampled(workload.seed, most)
    framework.quietly_fitted(estimator, prepare.transform(part.x), part.y)
    return answering(replace(workload, model=estimator, prepare=prepare))


def answering(workload: Workload) -> Workload:
    """The workload with what its estimator, fitted on codes, answers with."""
    classes = workload.rows.classes
    workload = replace(workload, form="sklearn", trainer=None, rebuild=None, by_batch=False)
    if classes is None:
        return replace(workload, outputs="values", class_columns=None, decide=None)
    codes = tuple(int(code) for code in workload.model.classes_)
    columns = None if codes == tuple(range(len(classes))) else codes
    # the positive class is the study's choice; a threshold fitted for another model is not
    decide = Decide(classes, None, workload.decide.positive if workload.decide else None)
    return replace(workload, outputs="probabilities", class_columns=columns, decide=decide)


def fit_again(estimator: Any, rows: Array, truth: Array) -> Any:
    """An estimator of this folder, fitted on prepared rows (in place).

    A network for values is fitted on the standardised target, with the scale folded into its last layer.
    """
    if type(estimator).__name__ != "MLPRegressor":
        return framework.quietly_fitted(estimator, rows, truth)
    mean, spread = float(truth.mean()), flat(truth)
    framework.quietly_fitted(estimator, rows, (truth - mean) / spread)
    estimator.coefs_[-1] = estimator.coefs_[-1] * spread
    estimator.intercepts_[-1] = estimator.intercepts_[-1] * spread + mean
    return estimator


def positive_whole(name: str, number: int | None, why: str) -> None:
    """Raise InputError unless `number` is None or a whole number from 1."""
    if number is not None and (not isinstance(number, int) or number < 1):
        raise InputError(f"{name} is {why}, a whole number from 1, got {number!r}")


def flat(values: Array) -> float:
    """Spread of a target, 1 where it is constant."""
    return float(values.std()) or 1.0
