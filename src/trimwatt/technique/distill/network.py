"""A network taught by whatever model stands before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Technique, applies_to, apply
from trimwatt.technique.distill import _teacher
from trimwatt.technique.train._plan import Training
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn

_MATCHES = ("answers", "features", "attention")


@dataclass(frozen=True)
class Distill(Training):
    """Train a smaller network to answer as the model before it does: a network, a forest, any ONNX file.

    student: an architecture by its name, "same" for the teacher's own started anew (self-distillation), None for the
    small network that suits the rows. parameters: of the student, as (name, value) pairs. temperature: softens both
    sides' probabilities. weight: of the teacher's answers in the loss, in [0, 1], the labels have the rest; 1 ignores
    labels, 0 is plain training. match: "answers" alone, or also the last "features" or their "attention" (networks
    only); match_weight: of that part. larger: allow a student of more parameters than its teacher.
    The teacher is asked once for each row as stored, not for its moved or mirrored views. Rows that came without
    labels (`Data.unlabelled`) are learned from as well.
    """

    name: ClassVar[str] = "distill"
    family: ClassVar[str] = "distillation"
    group: ClassVar[str] = "distill"
    reference: ClassVar[str] = (
        "Hinton, Vinyals and Dean 2015, arXiv:1503.02531; Romero et al. 2015, arXiv:1412.6550; "
        "Zagoruyko and Komodakis 2017, arXiv:1612.03928; Furlanello et al. 2018, arXiv:1805.04770"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"onnx", "sklearn", "torch"})
    gives: ClassVar[str | None] = "torch"
    books: ClassVar[str] = "train"

    student: str | None = None
    parameters: tuple[tuple[str, Any], ...] = ()
    temperature: float = 4.0
    weight: float = 0.7
    match: str = "answers"
    match_weight: float = 1.0
    larger: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "parameters", tuple((str(k), _plain(v)) for k, v in self.parameters))
        if not self.temperature > 0:
            raise InputError(f"temperature is above zero, got {self.temperature:g}; 2 to 8 is usual")
        if not 0 <= self.weight <= 1:
            raise InputError(f"weight is the teacher's share of the loss, in [0, 1], got {self.weight:g}")
        if self.match not in _MATCHES:
            raise InputError(f"match is {', '.join(_MATCHES)}, got {self.match!r}")
        if self.match_weight < 0:
            raise InputError(f"match_weight is a number from 0, got {self.match_weight:g}")


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@applies_to(Distill, "onnx", "sklearn", "torch")
def _distill(technique: Distill, workload: Workload) -> Workload:
    require("torch", "torch", "Distillation into a network")
    from trimwatt.framework.torch import fit
    from trimwatt.technique.distill import _losses

    teacher = _teacher.Teacher(workload)
    student = _student(technique, workload)
    if not technique.larger:
        _teacher.refuse_larger(workload, student, "take a narrower student, or say larger=true")
    learning = replace(student, data=_teacher.with_unlabelled(student.rows, teacher))
    hooks, unwrap = _losses.hooks(technique, teacher, learning)
    plan = technique if technique.match == "answers" else replace(technique, flip=False, shift=0)
    module: nn.Module = fit(learning, plan, from_scratch=True, hooks=hooks)
    return replace(student, model=unwrap(module).eval(), trainer=None, rebuild=None)


def _student(technique: Distill, workload: Workload) -> Workload:
    """The untrained student."""
    if technique.student == "same":
        return _anew(workload)
    step = _architecture(technique, workload)
    if step.gives != "torch" or step.needs:
        raise InputError(f"student is an architecture such as small-cnn or mlp-torch, or 'same', got {step.name!r}")
    return apply(step, workload)


def _architecture(technique: Distill, workload: Workload) -> Technique:
    from trimwatt.technique import from_json

    name = technique.student or ("small-cnn" if workload.rows.kind == "image" else "mlp-torch")
    (step,) = from_json([{"technique": name, **dict(technique.parameters)}])
    return step


def _anew(workload: Workload) -> Workload:
    """The teacher's own network with fresh weights."""
    import torch

    from trimwatt.framework.torch.copying import copied

    if workload.form != "torch":
        raise TrialFailed(f"only a PyTorch network can be its own student, the teacher is a {workload.form} model")
    module: Any = copied(workload.model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(workload.seed + 1)
        for part in module.modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
    return replace(workload, model=module.eval())
