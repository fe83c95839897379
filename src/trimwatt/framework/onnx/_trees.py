"""Trees, forests and histogram boosting as one TreeEnsembleRegressor: sums of leaves, without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.framework import _graph
from trimwatt.workload import Array, Outputs

_SINGLE = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
_FORESTS = ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor")
_BOOSTED = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")

_NO_LINK, _LOG_LINKS = ("squared_error", "absolute_error", "quantile"), ("poisson", "gamma")


@dataclass(frozen=True)
class _Tree:
    """Nodes of one tree: arrays (nodes,), leaf where left is negative. weights: (nodes, targets), of leaves."""

    feature: Array
    threshold: Array
    left: Array
    right: Array
    missing_left: Array
    weights: Array
    first_target: int = 0


def write(graph: _graph.Graph, name: str, estimator: Any, classify: bool) -> Outputs | None:
    """Add the ensemble; None where `estimator` is none that is known here."""
    kind = type(estimator).__name__
    base = None
    if kind in _BOOSTED:
        if not _plain_boosting(estimator, classify):
            return None
        trees, outputs = _boosted(estimator), "logits" if classify else "values"
        base = np.ravel(estimator._baseline_prediction).astype(float).tolist()
    elif kind in _SINGLE + _FORESTS and estimator.n_outputs_ == 1:
        members = [estimator] if kind in _SINGLE else estimator.estimators_
        trees = [_grown(member.tree_, classify, 1 / len(members)) for member in members]
        outputs = "probabilities" if classify else "values"
    else:
        return None
    targets = max(tree.first_target + tree.weights.shape[1] for tree in trees)
    more = {"base_values": base} if base else {}
    attributes = _attributes(trees) | more
    name = graph.add("TreeEnsembleRegressor", name, domain="ai.onnx.ml", n_targets=targets, **attributes)
    if kind in _BOOSTED and estimator.loss in _LOG_LINKS:
        graph.add("Exp", name)
    return outputs  # type: ignore[return-value]


def _plain_boosting(estimator: Any, classify: bool) -> bool:
    """Whether it sums numbers only: no categories, and no link but the usual one or the logarithm."""
    numeric = estimator.is_categorical_ is None and getattr(estimator, "_preprocessor", None) is None
    return numeric and (classify or estimator.loss in (*_NO_LINK, *_LOG_LINKS))


def _boosted(estimator: Any) -> list[_Tree]:
    trees = []
    for stage in estimator._predictors:
        for target, predictor in enumerate(stage):
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
            missing = nodes["missing_go_to_left"].astype(bool)
            values = nodes["value"][:, None]
            trees.append(_Tree(nodes["feature_idx"], nodes["num_threshold"], left, right, missing, values, target))
    return trees


def _grown(tree: Any, classify: bool, share: float) -> _Tree:
    weights = tree.value[:, 0, :].astype(np.float64)
    if classify:
        weights = weights / weights.sum(axis=1, keepdims=True)
        weights = weights[:, 1:] if weights.shape[1] == 2 else weights
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count)).astype(bool)
    return _Tree(tree.feature, tree.threshold, tree.children_left, tree.children_right, missing, weights * share)


def _rounded_down(threshold: Array) -> Array:
    """The largest float32 not above: `x <= t` for float32 x then means the same as in double precision."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def _attributes(trees: list[_Tree]) -> dict[str, Any]:
    sizes = [len(tree.feature) for tree in trees]
    leaf = np.concatenate([tree.left for tree in trees]) < 0
    threshold = _rounded_down(np.concatenate([tree.threshold for tree in trees]).astype(np.float64))
    missing = np.concatenate([tree.missing_left for tree in trees]) & ~leaf
    numbers = {
        "nodes_treeids": np.repeat(np.arange(len(trees)), sizes),
        "nodes_nodeids": np.concatenate([np.arange(size) for size in sizes]),
        "nodes_featureids": np.where(leaf, 0, np.concatenate([tree.feature for tree in trees])),
        "nodes_values": np.where(leaf, np.float32(0), threshold),
        "nodes_truenodeids": np.where(leaf, 0, np.concatenate([tree.left for tree in trees])),
        "nodes_falsenodeids": np.where(leaf, 0, np.concatenate([tree.right for tree in trees])),
    }
    if missing.any():
        numbers["nodes_missing_value_tracks_true"] = missing.astype(np.int64)
    modes = np.where(leaf, "LEAF", "BRANCH_LEQ").tolist()
    return {key: values.tolist() for key, values in (numbers | _leaves(trees)).items()} | {"nodes_modes": modes}


def _leaves(trees: list[_Tree]) -> dict[str, Array]:
    """Weights of leaves that are not 0 (one at least in each): grown trees hold mostly zeros."""
    parts: list[tuple[Array, Array, Array, Array]] = []
    for number, tree in enumerate(trees):
        kept = (tree.weights != 0) & (tree.left < 0)[:, None]
        kept[:, 0] |= (tree.left < 0) & ~kept.any(axis=1)
        node, target = np.nonzero(kept)
        parts.append((np.full(len(node), number), node, target + tree.first_target, tree.weights[node, target]))
    keys = ("target_treeids", "target_nodeids", "target_ids", "target_weights")
    return {key: np.concatenate(column) for key, column in zip(keys, zip(*parts, strict=True), strict=True)}
