"""Dense layers as two thinner ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.framework.onnx import _edit
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph
from trimwatt.technique._base import applies_to
from trimwatt.technique.factorize import _dense
from trimwatt.technique.factorize._matrices import Matrix, matrices, put_
from trimwatt.technique.factorize._plan import Factorizing, choose, tell
from trimwatt.workload import Array, Workload

if TYPE_CHECKING:
    from torch import nn

NOT_SMALLER = "a rank that keeps enough of it makes it no smaller"


@dataclass(frozen=True)
class Svd(Factorizing):
    """Replace dense layers and 1x1 convolutions by two thinner ones, by singular value decomposition.

    rank, keep, cost, heads: see `Factorizing`. by: choose the directions that matter to the "weights", or to the
    "answers" of the layer to `calibration_rows` training rows (no labels), which loses less of them at the same rank.
    """

    name: ClassVar[str] = "svd"
    group: ClassVar[str] = "factorize"
    reference: ClassVar[str] = (
        "Eckart and Young 1936, doi:10.1007/BF02288367; Denton et al. 2014, arXiv:1404.0736; Nakajima et al. 2013, "
        "JMLR 14; Zhang et al. 2015, arXiv:1505.06798"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"onnx", "torch"})

    by: str = "answers"
    calibration_rows: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by not in ("answers", "weights"):
            raise InputError(f"by is answers or weights, got {self.by!r}")
        if self.calibration_rows < 2:
            raise InputError(f"calibration_rows is a whole number from 2, got {self.calibration_rows}")

    def variants(self, workload: Workload) -> list[Svd]:
        """Bolder and milder ones."""
        if self.rank != "energy":
            return []
        return [replace(self, keep=keep) for keep in (0.8, 0.95, 0.99) if keep != self.keep]


@applies_to(Svd, "torch")
def _torch(technique: Svd, workload: Workload) -> Workload:
    require("torch", "torch", "Factoring a module")
    from trimwatt.framework.torch import lowrank
    from trimwatt.framework.torch.run import evaluated, example, sample

    module, row = evaluated(workload.model), example(workload, 1)
    found = lowrank.find(module, row, _is_matrix, technique.heads)
    rows = sample(workload, technique.calibration_rows) if technique.by == "answers" else row[:0]
    seen = lowrank.outputs(module, found.layers, rows)
    factors, choices = {}, []
    for layer in found.layers:
        weight = layer.weight.reshape(len(layer.weight), -1)
        moments = seen.get(layer.name)
        factors[layer.name] = (
            _dense.of_weights(weight, layer.bias)
            if moments is None
            else _dense.of_answers(weight, layer.bias, moments.number, moments.total, moments.products)
        )
        choices.append(_dense.choice(layer.name, weight, factors[layer.name], layer.after, layer.after))
    ranks = choose(technique, choices)
    tell(technique, list(ranks), found.left | {c.name: NOT_SMALLER for c in choices if c.name not in ranks})
    chains: dict[str, nn.Module] = {
        layer.name: lowrank.dense(layer.module, *factors[layer.name].cut(*ranks[layer.name]))
        for layer in found.layers
        if layer.name in ranks
    }
    return replace(workload, model=lowrank.replaced(module, chains, row))


def _is_matrix(layer: Any) -> bool:
    """Whether a layer is dense: a matrix at each place of its input."""
    from torch import nn

    if type(layer) is nn.Linear:
        return True
    plain = type(layer) in (nn.Conv1d, nn.Conv2d) and set(layer.kernel_size) == {1}
    return plain and not isinstance(layer.padding, str) and not any(layer.padding)


@applies_to(Svd, "onnx")
def _onnx(technique: Svd, workload: Workload) -> Workload:
    model = _graph.tidy(workload.model)
    found, left = matrices(model, technique.heads)
    answers = _answers(technique, workload, model, found) if technique.by == "answers" and found else {}
    factors = {matrix.name: _factors(matrix, answers.get(matrix.name)) for matrix in found}
    choices = [_dense.choice(m.name, m.weight.T, factors[m.name], m.places, m.places) for m in found]
    ranks = choose(technique, choices)
    tell(technique, list(ranks), left | {c.name: NOT_SMALLER for c in choices if c.name not in ranks})
    for name, (rank,) in ranks.items():
        put_(model.graph, name, *factors[name].cut(rank))
    return replace(workload, model=_graph.finished(model))


def _factors(matrix: Matrix, answers: Array | None) -> _dense.Factors:
    if answers is None:
        return _dense.of_weights(matrix.weight.T, matrix.bias)
    biased = answers if matrix.bias is None else answers + matrix.bias
    return _dense.of_answers(matrix.weight.T, matrix.bias, len(biased), biased.sum(0), biased.T @ biased)


def _answers(technique: Svd, workload: Workload, model: Any, found: list[Matrix]) -> dict[str, Array]:
    """What each matrix gives, its bias left out, as (rows x places, out)."""
    given = _graph.feeds(
        workload,
        _graph.sample(workload, technique.calibration_rows),
        [entry.name for entry in _edit.free_inputs(model)],
    )
    probe = _graph.described(type(model).FromString(model.SerializeToString()))
    places = list(dict.fromkeys(matrix.source for matrix in found))
    _edit.keep_outputs(probe, places)
    session = open_session(probe.SerializeToString())
    wanted = [entry.name for entry in session.get_inputs()]
    values = dict(zip(places, session.run(places, {name: given[name] for name in wanted}), strict=True))
    return {
        matrix.name: values[matrix.source].astype(np.float64).reshape(-1, len(matrix.weight)) @ matrix.weight
        for matrix in found
    }
