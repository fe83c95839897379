"""The chains of levers that benchmarks/levers.py tries on each kind of network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from trimwatt.recipe import Recipe
from trimwatt.technique import registry

Step = tuple[str, dict[str, Any]]
Chain = tuple[str, Callable[[], Recipe], str]

TUNE: Step = ("finetune", {"epochs": 8})
AGAIN: Step = ("finetune", {"epochs": 5, "learning_rate": 3e-3})
LOWER: Step = ("lower", {})
INT8: Step = ("static-int8", {})

EVERY: tuple[tuple[Step, ...], ...] = (
    (LOWER, INT8),
    (LOWER, ("static-int8", {"activations": "int8"})),
    (LOWER, ("static-int8", {"method": "percentile"})),
    (TUNE,),
    (TUNE, LOWER, INT8),
)
CNN: tuple[tuple[Step, ...], ...] = (
    *EVERY,
    (("prune-channels", {}), AGAIN),
    (TUNE, ("prune-channels", {}), AGAIN, LOWER, INT8),
    (TUNE, ("prune-channels", {"share": 0.7}), AGAIN, LOWER, INT8),
    (TUNE, ("prune-blocks", {"share": 0.4}), AGAIN, LOWER, INT8),
)
DENSE: tuple[tuple[Step, ...], ...] = (
    *EVERY,
    (LOWER, ("prune-dense", {})),
    (LOWER, ("prune-dense", {"share": 0.75})),
    (LOWER, ("prune-dense", {}), INT8),
    (LOWER, ("prune-dense", {"share": 0.75}), INT8),
)
KINDS: dict[str, tuple[tuple[Step, ...], ...]] = {"cnn": CNN, "mlp": DENSE, "gru": EVERY, "encoder": EVERY}


def chains(kind: str) -> Iterator[Chain]:
    """(name, what makes the steps, runtime) of each candidate for this kind of network."""
    for steps in KINDS[kind]:
        yield " + ".join(_label(step) for step in steps if step[0] != "lower"), partial(_made, steps), "onnxruntime"


def _made(steps: tuple[Step, ...]) -> Recipe:
    return tuple(registry()[name](**parameters) for name, parameters in steps)


def _label(step: Step) -> str:
    name, parameters = step
    told = ", ".join(f"{key}={value}" for key, value in parameters.items())
    return f"{name}({told})" if told else name
