"""Channels and units removed by the Optimal Brain Surgeon: no labels, no training, any ONNX file."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import _edit
from trimwatt.technique import _graph
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.oneshot import _chains, _second_order
from trimwatt.technique.quantize import _layers
from trimwatt.workload import Array, Workload

_log = logging.getLogger("trimwatt")


@dataclass(frozen=True)
class ObsChannels(Technique):
    """Remove channels that one layer makes and one layer takes, those the taker can best make up for.

    What a channel did is given to those that stay, by least squares on `calibration_rows` training rows, so that the
    network often holds without training. Depthwise convolutions between are cut along; channels that are added to
    others, shared or split stay. share: of each chain's channels that go, in (0, 1), less where a multiple of
    `round_to` is to be left. damp: added to the diagonal of the Hessian, as a share of its mean.
    """

    name: ClassVar[str] = "obs-channels"
    family: ClassVar[str] = "pruning"
    group: ClassVar[str] = "oneshot"
    shrinks: ClassVar[frozenset[str]] = frozenset({"parameters", "macs", "bytes"})
    reference: ClassVar[str] = "Hassibi and Stork 1993, NIPS 5; Frantar and Alistarh 2022, arXiv:2208.11580"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx"})
    gives: ClassVar[str | None] = "onnx"

    share: float = 0.25
    round_to: int = 8
    calibration_rows: int = 1000
    damp: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            percent = f"; did you mean {self.share / 100:g}?" if 1 < self.share < 100 else ""
            raise InputError(f"share is of the channels to remove, in (0, 1), got {self.share}{percent}")
        for name, least in (("round_to", 1), ("calibration_rows", 2)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is a whole number from {least}, got {getattr(self, name)}")
        if not 0 < self.damp <= 1:
            raise InputError(f"damp is a share in (0, 1], got {self.damp}")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """An eighth, a quarter, half of the channels, where that is not what was asked."""
        return [replace(self, share=share) for share in (0.125, 0.25, 0.5) if share != self.share]

    def left(self, channels: int) -> int:
        """How many of so many channels stay."""
        kept = channels - round(self.share * channels)
        return min(channels, -(-kept // self.round_to) * self.round_to)


@applies_to(ObsChannels, "onnx")
def _onnx(technique: ObsChannels, workload: Workload) -> Workload:
    require("onnxruntime", "onnx", "Removing channels")
    model = _graph.tidy(workload.model)
    chains = [chain for chain in _chains.find(model.graph) if technique.left(chain.channels) < chain.channels]
    if not chains:
        raise TrialFailed(
            f"no layer's channels go to one other layer alone, with more than {technique.round_to} of them to keep: "
            f"{_graph.kinds(model.graph)} were found"
        )
    rows = _graph.sample(workload, technique.calibration_rows)
    given = _graph.feeds(workload, rows, [entry.name for entry in _edit.free_inputs(model)])
    original = copy.deepcopy(model)
    for chain in chains:
        _prune(technique, model, original, chain, given, workload.seed)
    cut = {chain.layer for chain in chains}
    if left := [node.name for node in _graph.layers(model.graph) if node.name not in cut]:
        _log.info("keeping all their channels: %s", ", ".join(left))
    return replace(workload, model=_graph.finished(model))


def _prune(
    technique: ObsChannels, model: Any, original: Any, chain: _chains.Chain, given: dict[str, Array], seed: int
) -> None:
    """Take channels out of one chain of `model`, and fit what follows to what it gave in `original` (in place)."""
    kept = technique.left(chain.channels)
    if kept < 1:
        raise TrialFailed(f"share {technique.share:g} leaves layer {chain.layer} none of its {chain.channels} channels")
    graph, known = model.graph, _graph.arrays(model.graph)
    node = next(node for node in graph.node if node.name == chain.after)
    shape = known[node.input[1]].shape
    weights = _layers.matrix(node, known[node.input[1]])
    now, before = (_layers.features(m, node.input[0], node, shape, given, seed)[0] for m in (model, original))
    target = before @ weights.T
    biased = node.op_type != "MatMul"
    if biased:
        bias = known[node.input[2]].reshape(-1) if len(node.input) > 2 else np.zeros(1)
        weights = np.column_stack([weights, np.broadcast_to(bias, len(weights))])
        now, target = np.column_stack([now, np.ones(len(now))]), target + bias
    each = (weights.shape[1] - biased) // chain.channels
    groups = np.append(np.repeat(np.arange(chain.channels), each), [-1] * biased)
    if len(now) < weights.shape[1]:
        _log.info("%d rows are few for the %d features of %s", len(now), weights.shape[1], chain.after)
    left, fitted = _second_order.remove_groups(weights, now.T @ now, groups, kept, technique.damp)
    places = np.flatnonzero(np.isin(groups, [-1, *left]))
    fitted = refit(now[:, places], target, fitted[:, places], technique.damp)
    _chains.cut(graph, chain, left)
    matrix, moved = (fitted[:, :-1], fitted[:, -1]) if biased else (fitted, None)
    _chains.give(graph, node, matrix, (shape[0], kept, *shape[2:]) if node.op_type == "Conv" else (), moved)


def refit(rows: Array, target: Array, start: Array, damp: float) -> Array:
    """Weights (out, features), from `start`, with which `rows` (rows, features) give `target` (rows, out) best."""
    rest = target - rows @ start.T
    hessian = _second_order.damped(rows.T @ rows, damp)
    return start + np.linalg.solve(hessian, rows.T @ rest).T
