"""Hidden units of dense layers, taken out of any ONNX file; what they did is given to those that stay."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import _edit
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.prune import _chains, _surgeon
from trimwatt.workload import Array, Workload


@dataclass(frozen=True)
class PruneDense(Technique):
    """Remove a share of the hidden units of each chain of dense layers, and refit the layers behind.

    share: of each hidden layer's units that are removed, in (0, 1); what gives the answer is left alone. repair:
    refit each following layer by least squares, on `calibration_rows` training rows, to what it answered before.
    """

    name: ClassVar[str] = "prune-dense"
    family: ClassVar[str] = "pruning"
    group: ClassVar[str] = "prune"
    shrinks: ClassVar[frozenset[str]] = frozenset({"parameters", "macs", "bytes"})
    reference: ClassVar[str] = "Hassibi and Stork 1993, NIPS 5; He et al. 2017, arXiv:1707.06168"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx"})
    gives: ClassVar[str | None] = "onnx"

    share: float = 0.5
    repair: bool = True
    calibration_rows: int = 2000

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            percent = f"; did you mean {self.share / 100:g}?" if 1 < self.share < 100 else ""
            raise InputError(f"share is of the units to remove, in (0, 1), got {self.share}{percent}")
        if self.calibration_rows < 2:
            raise InputError(f"calibration_rows is a whole number from 2, got {self.calibration_rows}")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """A quarter and three quarters of the units, where that is not what was asked."""
        return [replace(self, share=share) for share in (0.25, 0.5, 0.75) if share != self.share]


@applies_to(PruneDense, "onnx")
def _onnx(technique: PruneDense, workload: Workload) -> Workload:
    model = _graph.tidy(workload.model)
    chains = _chains.find(model.graph)
    if not chains:
        raise TrialFailed(f"no dense layer of this model feeds another: {_graph.kinds(model.graph)} were found")
    given = _graph.feeds(
        workload,
        _graph.sample(workload, technique.calibration_rows),
        [entry.name for entry in _edit.free_inputs(model)],
    )
    original = copy.deepcopy(model)
    for chain in chains:
        _prune(technique, model, original, chain, given)
    return replace(workload, model=_graph.finished(model))


def _prune(technique: PruneDense, model: Any, original: Any, chain: _chains.Chain, given: dict[str, Array]) -> None:
    """Take units out of one chain of `model` (in place)."""
    kept = chain.units - round(technique.share * chain.units)
    if kept < 1:
        raise TrialFailed(f"share {technique.share:g} leaves layer {chain.layer} none of its {chain.units} units")
    graph, known = model.graph, _graph.arrays(model.graph)
    nodes = {node.name: node for node in graph.node}
    after = [nodes[name] for name in chain.after]
    places = [node.input[0] for node in after]
    now, before = (_values(m, places, given) for m in (model, original))
    matrices = [_chains.weight(node, known) for node in after]
    units = _surgeon.keep(np.concatenate(now), np.concatenate(matrices, axis=1), kept, technique.repair)
    _chains.shrink(graph, chain, units)
    for node, matrix, act, target in zip(after, matrices, now, before, strict=True):
        _refit(technique, graph, node, matrix, act[:, units], target @ matrix, units)


def _refit(
    technique: PruneDense, graph: Any, node: Any, matrix: Array, act: Array, target: Array, units: Array
) -> None:
    """Let a following layer answer `target` (rows, out), its bias left out, from what is left, `act` (rows, kept)."""
    found = _chains.bias(graph, node)
    new, shift = matrix[units], np.zeros(matrix.shape[1])
    if technique.repair:
        new, shift = _surgeon.refit(act, target, new, free=found is not None)
    _chains.set_weight(graph, node, new)
    if found is not None:
        _chains.set_bias(graph, node, found[2] + shift)


def _values(model: Any, places: list[str], given: dict[str, Array], chunk: int = 256) -> list[Array]:
    """What stands at `places` for the given rows, each as (rows, units), float64."""
    probe = _graph.described(copy.deepcopy(model))
    _edit.keep_outputs(probe, list(dict.fromkeys(places)))
    session = open_session(probe.SerializeToString())
    rows = len(next(iter(given.values())))
    wanted = [entry.name for entry in session.get_inputs()]
    parts = [
        session.run(places, {name: given[name][start : start + chunk] for name in wanted})
        for start in range(0, rows, chunk)
    ]
    found = [np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True)]
    return [array.reshape(-1, array.shape[-1]) for array in found]
