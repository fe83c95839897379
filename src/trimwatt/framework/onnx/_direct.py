"""Graphs of scikit-learn's common estimators, written here.

skl2onnx stays for everything else. These are written directly because its forests take seconds to convert and hold
a weight for each class in each leaf, its neighbours loop over rows, and its histogram boosting breaks with new
releases of onnx. Each is held to its source by the check of every export.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trimwatt.framework import _graph
from trimwatt.framework.each import Each
from trimwatt.framework.logged import LogTarget, without_log
from trimwatt.framework.onnx import _dense, _neighbours, _trees
from trimwatt.workload import Outputs

# each: (graph, input, estimator, classify) -> what the graph gives, or None where it is not one of those it knows
_Writer = Callable[[_graph.Graph, str, Any, bool], "Outputs | None"]
_WRITERS: tuple[_Writer, ...] = (_trees.write, _dense.write, _neighbours.write)


def direct(estimator: Any, name: str, features: int, classify: bool) -> tuple[Any, Outputs] | None:
    """The core model of `estimator` on float32 `name` (n, features), and what it gives; None where it is not known.

    Two classes may be given as one column, that of the second.
    """
    if isinstance(estimator, Each):
        return _labels(estimator, name, features)
    logged, estimator = estimator, without_log(estimator)
    if type(estimator).__module__.split(".")[0] != "sklearn" or getattr(estimator, "n_features_in_", None) != features:
        return None
    if classify and (not hasattr(estimator, "classes_") or len(estimator.classes_) < 2):
        return None
    for write in _WRITERS:
        graph = _graph.Graph("core")
        outputs = write(graph, name, estimator, classify)
        if outputs is not None:
            if isinstance(logged, LogTarget):
                _undo_log(graph, logged)
            graph.rename_last("scores")
            width = 1 if not classify or len(estimator.classes_) == 2 else len(estimator.classes_)
            inputs = [_graph.value(name, "float32", ("n", features))]
            return graph.model(inputs, [_graph.value("scores", "float32", ("n", width))]), outputs
    return None


def _labels(each: Each, name: str, features: int) -> tuple[Any, Outputs] | None:
    """The core of one classifier for each label: the probabilities of the labels side by side."""
    graph = _graph.Graph("core")
    shares = [_share(graph, name, one, features) if one is not None else "" for one in each.classifiers_]
    some = next((share for share in shares if share), None)
    if some is None or None in shares:
        return None
    for place in np.flatnonzero(~np.isnan(each.shares_)):
        # a label that was the same in all training rows, for as many rows as there are
        none = graph.add("Sub", some, some)
        shares[place] = graph.add("Add", none, graph.constant([each.shares_[place]], np.float32))
    graph.add("Concat", *map(str, shares), axis=1)
    graph.rename_last("scores")
    inputs = [_graph.value(name, "float32", ("n", features))]
    return graph.model(inputs, [_graph.value("scores", "float32", ("n", len(shares)))]), "probabilities"


def _share(graph: _graph.Graph, name: str, classifier: Any, features: int) -> str | None:
    """The probability (n, 1) of the second of two classes; None where the classifier is none that is known here."""
    home = type(classifier).__module__.split(".")[0]
    if home != "sklearn" or getattr(classifier, "n_features_in_", None) != features:
        return None
    outputs = next((kind for write in _WRITERS if (kind := write(graph, name, classifier, True)) is not None), None)
    if outputs is None:
        return None
    given = str(graph.nodes[-1].output[0])
    return graph.add("Sigmoid", given) if outputs == "logits" else given


def _undo_log(graph: _graph.Graph, logged: LogTarget) -> None:
    """Add what turns clipped logarithms into the unit of the target."""
    name = graph.nodes[-1].output[0]
    bounds = (graph.constant(bound, np.float32) for bound in (0.0, logged.most_))
    grown = graph.add("Exp", graph.add("Clip", name, *bounds))
    less = graph.add("Sub", grown, graph.constant([1.0], np.float32))
    graph.add("Mul", less, graph.constant([logged.unit_], np.float32))
