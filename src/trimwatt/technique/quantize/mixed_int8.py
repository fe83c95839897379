"""Mixed precision: int8 where it costs no answers, float in the few layers where it does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx import _edit
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph
from trimwatt.technique._base import Technique, applies_to
from trimwatt.technique.quantize import _edges
from trimwatt.technique.quantize.static_int8 import Activations, Method, Plan, StaticInt8, planned, quantized
from trimwatt.workload import Array, Rows, Workload, take

_log = logging.getLogger("trimwatt")


@dataclass(frozen=True)
class MixedInt8(Technique):
    """Static int8 but for the layers that spoil the answers most, left in float until few enough are spoilt.

    bound: how far answers may move: the root of their mean squared change on `rows` training rows that gave no
    range, as a share of their own spread. No labels are used. Layers are put back in float in the order of how much
    nearer the answers come by each alone, at most a share `most` of them. `chosen` gives the same as a step
    `static-int8` with the layers named. Other parameters: as `static-int8` has them.
    """

    name: ClassVar[str] = "mixed-int8"
    family: ClassVar[str] = "quantization"
    group: ClassVar[str] = "quantize"
    shrinks: ClassVar[frozenset[str]] = frozenset({"bytes"})
    reference: ClassVar[str] = "Dong et al. 2019, arXiv:1905.03696; Wu et al. 2020, arXiv:2004.09602"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx"})
    gives: ClassVar[str | None] = "onnx"

    bound: float = 0.05
    most: float = 0.5
    rows: int = 200
    activations: Activations = "uint8"
    method: Method = "minmax"
    calibration_rows: int = 200
    correct_bias: bool = False

    def __post_init__(self) -> None:
        if not self.bound > 0:
            raise InputError(f"bound is a share of the answers' spread above zero, got {self.bound}")
        if not 0 < self.most <= 1:
            raise InputError(f"most is a share of the layers in (0, 1], got {self.most}")
        if self.rows < 2:
            raise InputError(f"rows is a whole number from 2, got {self.rows}")
        self.step()

    def step(self, kept: tuple[str, ...] = ()) -> StaticInt8:
        """The step `static-int8` that leaves the layers `kept` in float."""
        shared = {key: value for key, value in asdict(self).items() if key not in ("bound", "most", "rows")}
        return StaticInt8(**shared, keep_float=kept)

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """A tighter and a looser bound."""
        return [replace(self, bound=self.bound * factor) for factor in (0.5, 2.0)]


@applies_to(MixedInt8, "onnx")
def _onnx(technique: MixedInt8, workload: Workload) -> Workload:
    kept, model = _searched(technique, workload)
    _log.info("left in float: %s", ", ".join(kept) or "no layer")
    return model


def chosen(technique: MixedInt8, workload: Workload) -> StaticInt8:
    """The step `static-int8` with which a recipe repeats what `technique` found for `workload`."""
    return technique.step(_searched(technique, workload)[0])


def _searched(technique: MixedInt8, workload: Workload) -> tuple[tuple[str, ...], Workload]:
    """The layers to leave in float, and the model with them; raises TrialFailed where `most` of them are too few."""
    whole = technique.step()
    plan = planned(whole, workload)
    judge = _Judge(plan, _judging(technique, workload))
    model = quantized(whole, plan)
    layers = [node.name for node in _graph.layers(plan.parsed.graph) if node.name not in plan.kept]
    if judge.error(model) <= technique.bound:
        return (), replace(plan.workload, model=_graph.finished(model))
    order = sorted(layers, key=lambda name: judge.error(freed(model, plan.parsed, name)))
    error = np.inf
    for many in range(1, int(technique.most * len(layers)) + 1):
        kept = tuple(order[:many])
        made = quantized(whole, replace(plan, kept=[*plan.kept, *kept]))
        error = judge.error(made)
        if error <= technique.bound:
            return kept, replace(plan.workload, model=_graph.finished(made))
    raise TrialFailed(
        f"answers move by {error:.3g} of their spread with {technique.most:.0%} of the layers in float; "
        f"the bound is {technique.bound:g}"
    )


class _Judge:
    """Measures how far a model's answers are from those of the float model of a plan."""

    def __init__(self, plan: Plan, rows: Rows) -> None:
        self._given = _graph.feeds(plan.workload, rows, [entry.name for entry in _edit.free_inputs(plan.parsed)])
        self._want = self._answers(plan.parsed)
        self._spread = float(np.sqrt(np.square(self._want - self._want.mean(axis=0)).mean()))

    def _answers(self, model: Any) -> Array:
        session = open_session(model.SerializeToString())
        return np.asarray(session.run(None, self._given)[0], np.float64)

    def error(self, model: Any) -> float:
        """Root of the mean squared change of the answers, as a share of their spread over rows."""
        moved = float(np.sqrt(np.square(self._answers(model) - self._want).mean()))
        return moved / max(self._spread, 1e-12)


def _judging(technique: MixedInt8, workload: Workload) -> Rows:
    """Training rows that gave no range; those that did, where there are no others."""
    data = workload.rows
    places = np.arange(len(data.train))
    numbered = replace(workload, data=replace(data, train=replace(data.train, x=places)))
    used, more = (
        np.asarray(_graph.sample(numbered, most))
        for most in (technique.calibration_rows, technique.calibration_rows + technique.rows)
    )
    left = np.setdiff1d(more, used)
    return take(data.train.x, left if len(left) else used)


def freed(model: Any, source: Any, name: str) -> Any:
    """A copy of a quantized model whose layer `name` computes in float, with the weights of `source`.

    It reads what the layers before it give in 8 bits: the quantizer has put their rectifiers into that rounding.
    """
    made = type(model).FromString(model.SerializeToString())
    graph, known = made.graph, _graph.arrays(source.graph)
    node = next(node for node in graph.node if node.name == name)
    old = next(node for node in source.graph.node if node.name == name)
    for place, content in enumerate(known.get(entry) for entry in old.input):
        if content is not None:
            node.input[place] = _graph.constant(graph, f"{name}/{place}/float", content, content.dtype)
    _edges.stay_float(graph)
    _graph.drop_unused(graph)
    return made
