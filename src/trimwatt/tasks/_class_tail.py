"""Nodes of ONNX that turn scores of classes into labels and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.tasks._base import CoreOutput, Graph, Output
from trimwatt.workload import Decide, Workload


def add(tail: Graph, raw: CoreOutput, workload: Workload) -> list[Output]:
    """Add the nodes from what the core gives to `prediction` (n,) and `probability` (n, k); returns these."""
    decide = workload.decide or Decide(workload.rows.classes or ())
    name = tail.add("Cast", raw.name, to=1) if raw.double else raw.name
    if raw.rank != 2:
        name = tail.add("Reshape", name, tail.constant([-1, raw.width], np.int64))
    columns = list(workload.class_columns or range(max(2, raw.width)))
    probability = _probability(tail, name, raw.width, workload.outputs == "logits")
    # the largest logit is the largest probability: no need to wait for the softmax
    ranked = name if raw.width > 1 else probability
    ordered = _ordered(tail, probability, columns, len(decide.classes))
    if ordered == raw.name:
        ordered = tail.add("Identity", ordered)
    _renamed(tail, ordered, "probability")
    ranked = "probability" if ranked == ordered else ranked
    open_interval = decide.threshold is None or 0 < decide.threshold < 1
    if raw.width == 1 and columns == list(range(len(decide.classes))) and open_interval:
        _one_column(tail, name, decide, workload.outputs == "logits")
    elif decide.threshold is None or decide.positive is None:
        _most_probable(tail, ranked, decide, columns if ranked != "probability" else list(range(len(decide.classes))))
    else:
        _thresholded(tail, decide)
    label = _label_array(decide).dtype
    return [("prediction", label, ("n",)), ("probability", np.float32, ("n", len(decide.classes)))]


def _probability(tail: Graph, name: str, width: int, logits: bool) -> str:
    if width > 1:
        return tail.add("Softmax", name, axis=1) if logits else name
    one = tail.add("Sigmoid", name) if logits else name
    return tail.add("Concat", tail.add("Sub", tail.constant([1.0], np.float32), one), one, axis=1)


def _ordered(tail: Graph, name: str, columns: list[int], classes: int) -> str:
    """Columns in the order of the classes, 0 for a class the model does not know."""
    if columns == list(range(classes)):
        return name
    if len(columns) == classes:
        return tail.add("Gather", name, tail.constant(np.argsort(columns), np.int64), axis=1)
    place = np.zeros((len(columns), classes), dtype=np.float32)
    place[np.arange(len(columns)), columns] = 1
    return tail.add("MatMul", name, tail.constant(place))


def _most_probable(tail: Graph, ranked: str, decide: Decide, columns: list[int]) -> None:
    code = tail.add("ArgMax", ranked, axis=1, keepdims=0)
    labels = _label_array(decide)[columns]
    if labels.dtype.kind == "i" and (labels == np.arange(len(labels))).all():
        tail.rename_last("prediction")
    else:
        tail.add("Gather", tail.constant(labels), code, output="prediction")


def _one_column(tail: Graph, name: str, decide: Decide, logits: bool) -> None:
    """Two classes by the score of the second: compared as it comes, no need to wait for both probabilities."""
    labels, flat = _label_array(decide), tail.add("Reshape", name, tail.constant([-1], np.int64))
    chosen = decide.threshold is not None and decide.positive is not None
    least = decide.threshold if chosen and decide.threshold is not None else 0.5
    least = 1 - least if chosen and decide.positive == 0 else least
    bound = tail.constant(np.log(least / (1 - least)) if logits else least, np.float32)
    # of two equal probabilities the first counts; from a threshold on the positive one does
    kind = "GreaterOrEqual" if chosen and decide.positive == 1 else "Greater"
    no, yes = (tail.constant(labels[code : code + 1]) for code in (0, 1))
    tail.add("Where", tail.add(kind, flat, bound), yes, no, output="prediction")


def _thresholded(tail: Graph, decide: Decide) -> None:
    positive, labels = int(decide.positive or 0), _label_array(decide)
    share = tail.add("Gather", "probability", tail.constant(positive, np.int64), axis=1)
    chosen = tail.add("GreaterOrEqual", share, tail.constant(decide.threshold, np.float32))
    yes, no = (tail.constant(labels[code : code + 1]) for code in (positive, 1 - positive))
    tail.add("Where", chosen, yes, no, output="prediction")


def _label_array(decide: Decide) -> Any:
    labels = np.asarray(decide.classes)
    if labels.dtype.kind in "iub":
        return labels.astype(np.int64)
    if labels.dtype.kind in "OU":
        return np.asarray([str(label) for label in decide.classes], dtype=object)
    raise InputError(f"class labels are whole numbers or text, got {labels.dtype}; convert the target column")


def _renamed(tail: Graph, old: str, new: str) -> None:
    for node in tail.nodes:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
