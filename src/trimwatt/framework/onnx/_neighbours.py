"""Nearest neighbours as one matrix product: |x - t|^2 orders the rows t as x.t - |t|^2 / 2 does, from the other end."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.framework import _graph
from trimwatt.workload import Outputs

_DOUBLE = 11


def write(graph: _graph.Graph, name: str, estimator: Any, classify: bool) -> Outputs | None:
    """Add distances, the k best and the mean of their answers; None where `estimator` is none that is known here."""
    if type(estimator).__name__ not in ("KNeighborsClassifier", "KNeighborsRegressor") or not _usual(estimator):
        return None
    # in single precision rows that lie equally far change places, and with them the answer
    rows = graph.add("Cast", graph.constant(estimator._fit_X.T, np.float32), to=_DOUBLE)
    norms = (estimator._fit_X.astype(np.float64) ** 2).sum(axis=1)
    given = graph.add("Cast", name, to=_DOUBLE)
    near = graph.add("Gemm", given, rows, graph.constant(-norms / 2, np.float64))
    best = _best(graph, near, estimator.n_neighbors)
    several = classify and len(estimator.classes_) > 2
    answers = graph.add("Gather", graph.constant(np.ravel(estimator._y), np.float32), best)
    if not several:
        graph.add("ReduceMean", answers, axes=[1], keepdims=1)
    else:
        wide = graph.add("Unsqueeze", answers, graph.constant([2], np.int64))
        same = graph.add("Equal", wide, graph.constant(np.arange(len(estimator.classes_)), np.float32))
        graph.add("ReduceMean", graph.add("Cast", same, to=1), axes=[1], keepdims=0)
    return "probabilities" if classify else "values"


def _usual(estimator: Any) -> bool:
    plain = estimator.weights == "uniform" and estimator.effective_metric_ == "euclidean"
    return plain and isinstance(estimator._fit_X, np.ndarray) and np.ndim(np.squeeze(estimator._y)) == 1


def _best(graph: _graph.Graph, near: str, k: int) -> str:
    """The indices of the k largest of each row."""
    import onnx

    count, place = graph.constant([k], np.int64), len(graph.nodes)
    best, index, name = (f"{graph.prefix}/{word}{place}" for word in ("best", "index", "topk"))
    graph.nodes.append(onnx.helper.make_node("TopK", [near, count], [best, index], name=name, sorted=0))
    return index
