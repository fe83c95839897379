"""Single weights set to zero, by size or by lot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique import _graph
from trimwatt.technique._base import Maturity, Technique, applies_to
from trimwatt.technique.prune import _zeros
from trimwatt.technique.train._plan import Training
from trimwatt.workload import Array, Workload

if TYPE_CHECKING:
    from torch import nn

Choose = Callable[[dict[str, Array], float], dict[str, Array]]
ChooseStored = Callable[[dict[str, Array], dict[str, int]], dict[str, Array]]


@dataclass(frozen=True)
class PruneMagnitude(Training):
    """Set a share of the weights of convolutions and dense layers to zero; this alone saves neither time nor bytes.

    Dense kernels multiply zeros as they do other numbers, and files store them, so nothing is promised; what a zero is
    worth in a sparse kernel must be measured. share: of the weights, in (0, 1). by: "magnitude" (the smallest go) or
    "random". scope: "global" ranks all layers together, "layer" takes the same share of each. epochs: of training
    with the zeros held, 0 for none; PyTorch only, the rest of how to train is as in `train`. rounds: in how many
    stretches of training the share is reached, by a cubic schedule; 1 is at once, before training.
    """

    name: ClassVar[str] = "prune-magnitude"
    maturity: ClassVar[Maturity] = "experimental"
    family: ClassVar[str] = "pruning"
    group: ClassVar[str] = "prune"
    reference: ClassVar[str] = "Han et al. 2015, arXiv:1506.02626; Zhu and Gupta 2017, arXiv:1710.01878"
    needs: ClassVar[frozenset[str]] = frozenset({"torch", "onnx"})

    epochs: int = 0
    learning_rate: float = 1e-3
    patience: int | None = None
    weight_decay: float = 1e-4
    share: float = 0.8
    by: str = "magnitude"
    scope: str = "global"
    rounds: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share < 1:
            hint = f"; did you mean {self.share / 100:g}?" if 1 < self.share < 100 else ""
            raise InputError(f"share is in (0, 1), got {self.share:g}{hint}")
        for name, known in (("by", ("magnitude", "random")), ("scope", ("global", "layer"))):
            if getattr(self, name) not in known:
                raise InputError(f"{name} is {' or '.join(known)}, got {getattr(self, name)!r}")
        if self.rounds < 1 or (self.rounds > 1 and not self.epochs):
            raise InputError(f"rounds is a whole number from 1, above 1 only with epochs to train, got {self.rounds}")

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """Half and nine tenths of the weights, where that is not what was asked."""
        return [replace(self, share=share) for share in (0.5, 0.9) if share != self.share]

    def chosen(self, weights: dict[str, Array], share: float, seed: int) -> dict[str, Array]:
        """Masks (True stays) for weights by layer."""
        return _zeros.masks(_zeros.ranked(weights, self.by, seed), share, self.scope)


@applies_to(PruneMagnitude, "torch")
def _torch(technique: PruneMagnitude, workload: Workload) -> Workload:
    require("torch", "torch", "Pruning")

    def choose(weights: dict[str, Array], share: float) -> dict[str, Array]:
        return technique.chosen(weights, share, workload.seed)

    return zeroed(technique, workload, choose, technique.share, technique.rounds)


@applies_to(PruneMagnitude, "onnx")
def _onnx(technique: PruneMagnitude, workload: Workload) -> Workload:
    return zeroed_onnx(technique, workload, lambda w, _: technique.chosen(w, technique.share, workload.seed))


def zeroed(technique: Training, workload: Workload, choose: Choose, share: float, rounds: int) -> Workload:
    """The workload's module with the weights zeroed that `choose` leaves out, trained on where epochs are asked."""
    from trimwatt.framework.torch import fit
    from trimwatt.framework.torch.hooks import Hooks
    from trimwatt.framework.torch.masks import Masked

    masked = Masked(choose, lambda done: _zeros.share_at(share, done, rounds))
    hooks = Hooks(prepare=masked.start, after_step=masked.hold, keep_last=True)
    module: nn.Module = fit(workload, technique, hooks=hooks)
    return replace(workload, model=module)


def zeroed_onnx(technique: Training, workload: Workload, choose: ChooseStored) -> Workload:
    """The same for an ONNX model; `choose` is told along which axis each weight reads its inputs."""
    if technique.epochs:
        raise TrialFailed(f"{technique.name} trains only PyTorch modules; ask epochs=0 for a model in ONNX")
    model = _graph.tidy(workload.model)
    known = _graph.arrays(model.graph)
    found = [node for node in _graph.layers(model.graph) if known[node.input[1]].dtype.kind == "f"]
    if not found:
        raise TrialFailed(f"no layer of this model has float weights: {_graph.kinds(model.graph)} were found")
    axes = {node.input[1]: _axis(node, known[node.input[1]]) for node in found}
    kept = choose({name: known[name] for name in axes}, axes)
    for node in found:
        if (mask := kept.get(node.input[1])) is not None:
            content = known[node.input[1]] * mask
            node.input[1] = _graph.constant(model.graph, f"{node.name}/zeroed", content, content.dtype)
    return replace(workload, model=_graph.finished(model))


def _axis(node: Any, weight: Array) -> int:
    """Along which axis of its weight a node reads its inputs."""
    if node.op_type == "MatMul":
        return weight.ndim - 2
    return int(node.op_type == "Conv" or bool(_graph.attribute(node, "transB", 0)))
