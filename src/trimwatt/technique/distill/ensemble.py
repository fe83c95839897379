"""Several networks that answer together: dear to ask, and a better teacher than one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Maturity, Stage, Technique, applies_to, apply
from trimwatt.technique.train._plan import Training
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Ensemble(Training):
    """Train `members` networks of one architecture from different starts; their mean is the answer.

    member: an architecture by its name, None for the small network that suits the rows. parameters: of it, as (name,
    value) pairs. It is a teacher to distil from: by itself it costs `members` times what one does.
    """

    name: ClassVar[str] = "ensemble"
    family: ClassVar[str] = "network"
    group: ClassVar[str] = "distill"
    stage: ClassVar[Stage] = "model"
    maturity: ClassVar[Maturity] = "experimental"
    reference: ClassVar[str] = "Lakshminarayanan, Pritzel and Blundell 2017, arXiv:1612.01474"
    gives: ClassVar[str | None] = "torch"
    books: ClassVar[str] = "train"

    member: str | None = None
    parameters: tuple[tuple[str, Any], ...] = ()
    members: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = tuple((str(k), tuple(v) if isinstance(v, list) else v) for k, v in self.parameters)
        object.__setattr__(self, "parameters", pairs)
        if self.members < 2:
            raise InputError(f"members are two or more, got {self.members}")


@applies_to(Ensemble, "none", "onnx", "sklearn", "torch")
def _ensemble(technique: Ensemble, workload: Workload) -> Workload:
    require("torch", "torch", "An ensemble of networks")
    from trimwatt.framework.torch import fit
    from trimwatt.framework.torch.mean import mean_of

    if workload.task.target == "labels":
        raise TrialFailed("an ensemble answers classes or values, and this task decides several labels")
    step, trained = _architecture(technique, workload), []
    for number in range(technique.members):
        start = apply(step, replace(workload, seed=workload.seed + number))
        # the same rows are held out by all, so that a threshold set later has not been seen by any
        learned: nn.Module = fit(replace(start, seed=workload.seed), technique, from_scratch=True)
        trained.append(learned)
    classes = workload.task.target == "class"
    first = apply(step, workload)
    return replace(first, model=mean_of(trained, classes), outputs="probabilities" if classes else "values")


def _architecture(technique: Ensemble, workload: Workload) -> Technique:
    from trimwatt.technique import from_json

    name = technique.member or ("small-cnn" if workload.rows.kind == "image" else "mlp-torch")
    (step,) = from_json([{"technique": name, **dict(technique.parameters)}])
    if step.gives != "torch" or step.needs:
        raise InputError(f"member is an architecture such as small-cnn or mlp-torch, got {name!r}")
    return step
