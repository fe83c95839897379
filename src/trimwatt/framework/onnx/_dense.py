"""Linear models and multi-layer perceptrons as chains of Gemm."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.framework import _graph
from trimwatt.workload import Array, Outputs

_LINEAR = ("LogisticRegression", "LinearSVC", "RidgeClassifier", "Ridge", "LinearRegression", "Lasso", "ElasticNet")
_PERCEPTRONS = ("MLPClassifier", "MLPRegressor")
_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "identity": None}


def write(graph: _graph.Graph, name: str, estimator: Any, classify: bool) -> Outputs | None:
    """Add the chain up to the decision values; None where `estimator` is none that is known here."""
    kind = type(estimator).__name__
    if kind in _LINEAR and _one_answer(estimator, classify):
        weight, bias = np.atleast_2d(estimator.coef_), np.ravel(estimator.intercept_)
        _layer(graph, name, weight.T, np.broadcast_to(bias, len(weight)))
    elif kind in _PERCEPTRONS and estimator.n_outputs_ == _answers(estimator, classify):
        _chain(graph, name, estimator)
    else:
        return None
    return "logits" if classify else "values"


def _answers(estimator: Any, classify: bool) -> int:
    return len(estimator.classes_) if classify and len(estimator.classes_) > 2 else 1


def _one_answer(estimator: Any, classify: bool) -> bool:
    """Whether its decision values are all there is to it: one row of weights an answer, no one-against-rest."""
    rest = getattr(estimator, "solver", None) == "liblinear" and len(getattr(estimator, "classes_", ())) > 2
    return not rest and len(np.atleast_2d(estimator.coef_)) == _answers(estimator, classify)


def _layer(graph: _graph.Graph, name: str, weight: Array, bias: Array) -> str:
    weights = (graph.constant(part, np.float32) for part in (weight, bias))
    return graph.add("Gemm", name, *weights)


def _chain(graph: _graph.Graph, name: str, estimator: Any) -> None:
    activation = _ACTIVATIONS[estimator.activation]
    last = len(estimator.coefs_) - 1
    for i, (weight, bias) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        name = _layer(graph, name, weight, bias)
        if i < last and activation:
            name = graph.add(activation, name)
