"""Single weights removed with compensation: zeros that cost few answers, and by themselves save nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import _edit
from trimwatt.technique import _graph
from trimwatt.technique._base import Maturity, Technique, applies_to
from trimwatt.technique.oneshot import _second_order
from trimwatt.technique.quantize import _layers
from trimwatt.workload import Array, Workload

_log = logging.getLogger("trimwatt")


@dataclass(frozen=True)
class ObsWeights(Technique):
    """Set a share of each layer's weights to zero, the others made up for them by a closed form.

    It makes nothing smaller or cheaper by itself: dense kernels multiply zeros like any number. It is there for
    runtimes and processors that skip zeros, and for files that are compressed afterwards. share: of zeros, in (0, 1).
    pattern: (n, m) leaves n of each m neighbouring inputs instead, as (2, 4) for sparse tensor cores; () for none.
    The layer that gives the answer is left alone.
    """

    name: ClassVar[str] = "obs-weights"
    maturity: ClassVar[Maturity] = "experimental"
    family: ClassVar[str] = "pruning"
    group: ClassVar[str] = "oneshot"
    reference: ClassVar[str] = "Frantar and Alistarh 2022, arXiv:2208.11580; 2023, arXiv:2301.00774"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx"})
    gives: ClassVar[str | None] = "onnx"

    share: float = 0.5
    pattern: tuple[int, ...] = ()
    calibration_rows: int = 200
    damp: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            percent = f"; did you mean {self.share / 100:g}?" if 1 < self.share < 100 else ""
            raise InputError(f"share is of the weights to remove, in (0, 1), got {self.share}{percent}")
        if self.pattern and not (len(self.pattern) == 2 and 0 < self.pattern[0] < self.pattern[1]):
            raise InputError(f"pattern is (n, m) with 0 < n < m, or () for none, got {self.pattern}")
        if self.calibration_rows < 2:
            raise InputError(f"calibration_rows is a whole number from 2, got {self.calibration_rows}")
        if not 0 < self.damp <= 1:
            raise InputError(f"damp is a share in (0, 1], got {self.damp}")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """More zeros, and two of each four."""
        offers = [replace(self, share=0.75, pattern=()), replace(self, share=0.5, pattern=(2, 4))]
        return [offer for offer in offers if offer != self]


@applies_to(ObsWeights, "onnx")
def _onnx(technique: ObsWeights, workload: Workload) -> Workload:
    require("onnxruntime", "onnx", "Removing weights")
    model = _graph.tidy(workload.model)
    layers = _graph.layers(model.graph)
    nodes = [node for node in _layers.plain(model.graph) if node.name != layers[-1].name]
    if not nodes:
        raise TrialFailed(f"no layer before the last has weights to remove: {_graph.kinds(model.graph)} were found")
    if left := [node.name for node in layers if node not in nodes]:
        _log.info("keeping all their weights: %s", ", ".join(left))
    rows = _graph.sample(workload, technique.calibration_rows)
    given = _graph.feeds(workload, rows, [entry.name for entry in _edit.free_inputs(model)])
    for node in nodes:
        _remove(technique, model, node, given, workload.seed)
    return replace(workload, model=_graph.finished(model))


def _remove(technique: ObsWeights, model: Any, node: Any, given: dict[str, Array], seed: int) -> None:
    stored = _graph.arrays(model.graph)[node.input[1]]
    weights, found = (
        _layers.matrix(node, stored),
        _layers.features(model, node.input[0], node, stored.shape, given, seed),
    )
    pattern = (technique.pattern[0], technique.pattern[1]) if technique.pattern else None
    masked = [
        _second_order.mask_weights(part, rows.T @ rows, technique.share, pattern, technique.damp)
        for part, rows in zip(np.split(weights, len(found)), found, strict=True)
    ]
    content = _layers.arranged(node, np.concatenate(masked), stored.shape)
    node.input[1] = _graph.constant(model.graph, f"{node.name}/masked", content, np.float32)
