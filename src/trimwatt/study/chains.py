"""Which chains of levers suit a network: what convolves, recurs or attends wants others than dense layers do."""

from __future__ import annotations

from typing import Any, Literal

from trimwatt.recipe import Recipe
from trimwatt.technique import make
from trimwatt.technique._layers import ATTENDS, CONVOLVES, RECURS, layers
from trimwatt.workload import Workload

Kind = Literal["convolutional", "recurrent", "attending", "dense"]


def kind(workload: Workload, core: Recipe) -> Kind:
    """What sort of network stands there: by its layers, or by the architecture that a recipe begins with."""
    names = layers(workload) or [_built(core)]
    for found, marks in (("recurrent", RECURS), ("attending", ATTENDS), ("convolutional", CONVOLVES)):
        if any(name.startswith(marks) for name in names):
            return found  # type: ignore[return-value]
    return "dense"


def _built(core: Recipe) -> str:
    """The architectures of ours convolve, but for the dense one."""
    names = [step.name for step in core]
    return "Conv" if any(step.gives == "torch" for step in core) and "mlp-torch" not in names else "Linear"


def first(sort: Kind, form: str) -> list[Recipe]:
    """The chains that most often win, the cheapest to make first."""
    if form != "torch":
        return _without_training(sort)
    # channels of a convolution that can be trained again are better removed before training than after
    return [*_FIRST[sort](), *([] if sort == "convolutional" else _without_training(sort))]


def later(sort: Kind, form: str, image: bool) -> list[Recipe]:
    """What is tried where the budget lasts."""
    lower, int8 = make("lower"), make("static-int8")
    more: list[Recipe] = [(lower, make("mixed-int8"))] if sort == "convolutional" else []
    if sort in ("dense", "attending"):
        more += [(lower, make("gptq")), (lower, make("svd"), int8)]
    student = make("distill", student="small-cnn" if image else "mlp-torch")
    if sort in ("convolutional", "dense"):
        more += [(student, lower, int8)]
    if form != "torch":
        return more
    again = _again()
    if sort in ("convolutional", "dense"):
        more += [(make("group-lasso"), again, lower, int8)]
    if sort == "convolutional":
        more += [(make("finetune"), make("downsample"), again, lower, int8)] if image else []
        more += [(make("finetune"), make("qat")), (make("finetune"), make("tucker"), again, lower, int8)]
    if sort == "dense":
        more += [(make("svd"), again, lower, int8), (make("qat"),)]
    return more


def _again() -> Any:
    return make("finetune", epochs=3, learning_rate=3e-3)


def _without_training(sort: Kind) -> list[Recipe]:
    """What works on any network in ONNX, from training rows without their labels."""
    lower, int8 = make("lower"), make("static-int8")
    if sort == "recurrent":
        return [(lower, make("dynamic-int8"))]
    if sort == "attending":
        return [(lower, int8), (lower, make("dynamic-int8"))]
    if sort == "convolutional":
        prune = make("obs-channels", share=0.25)
        return [(lower, int8), (lower, prune), (lower, prune, int8)]
    prune = make("prune-dense")
    return [(lower, int8), (lower, prune), (lower, prune, int8)]


def _convolutional() -> list[Recipe]:
    lower, int8, tune, again = make("lower"), make("static-int8"), make("finetune"), _again()
    pruned = (make("prune-blocks", share=0.4), make("prune-channels"), make("prune-budget", share=0.75))
    return [(lower, int8), (tune,), (tune, lower, int8), *((tune, prune, again, lower, int8) for prune in pruned)]


def _recurrent() -> list[Recipe]:
    shares = (0.75, 0.875, 0.9375, 0.5)
    # what is left is refitted in closed form; training again often costs more than it mends
    return [*((make("prune-recurrent", share=s),) for s in shares), (make("prune-recurrent", share=0.75), _again())]


def _attending() -> list[Recipe]:
    lower, dynamic, neurons = make("lower"), make("dynamic-int8"), make("prune-heads", heads=0.0)
    tune = make("finetune", epochs=2, learning_rate=1e-4)
    return [(lower, dynamic), (neurons, lower, dynamic), (neurons, tune, lower, dynamic)]


def _dense() -> list[Recipe]:
    lower, int8, tune = make("lower"), make("static-int8"), make("finetune")
    return [(tune,), (tune, lower, int8), (make("prune-channels"), _again(), lower, int8)]


_FIRST = {"convolutional": _convolutional, "recurrent": _recurrent, "attending": _attending, "dense": _dense}
