"""The chains of levers that benchmarks/levers.py tries on each kind of network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from trimwatt.recipe import Recipe
from trimwatt.technique import registry

Step = tuple[str, dict[str, Any]]
Chain = tuple[str, Callable[[], Recipe], str]

TUNE: Step = ("finetune", {"epochs": 3})
AGAIN: Step = ("finetune", {"epochs": 3, "learning_rate": 3e-3})
LOWER: Step = ("lower", {})
INT8: Step = ("static-int8", {})

SMALLER: Step = ("downsample", {})
LONG: Step = ("finetune", {"epochs": 10, "learning_rate": 3e-3})
INT8S: Step = ("static-int8", {"activations": "int8"})
BOOSTED: Step = ("boosted", {})
FEW: Step = ("boosted", {"rounds": 30, "leaves": 31, "learning_rate": 0.2})
SVD: Step = ("svd", {})

# each lever of quantization and of one-shot compression alone, from the model as it is
PLAIN: tuple[tuple[Step, ...], ...] = (
    (LOWER, INT8), (LOWER, INT8S), (LOWER, ("static-int8", {"method": "percentile"})),
    (LOWER, ("static-int8", {"method": "mse", "correct_bias": True})), (LOWER, ("equalise", {}), INT8),
    (LOWER, ("mixed-int8", {})), (LOWER, ("dynamic-int8", {})), (LOWER, ("weight-only", {})),
    (LOWER, ("weight-only", {"bits": 4})), (LOWER, ("gptq", {})), (LOWER, ("obs-weights", {})), (TUNE,),
    (TUNE, LOWER, INT8), (TUNE, ("qat", {})), (("prune-magnitude", {"share": 0.8}),), (("prune-pattern", {}),),
)  # fmt: skip
CNN: tuple[tuple[Step, ...], ...] = (
    *PLAIN,
    (LOWER, ("obs-channels", {})), (LOWER, ("obs-channels", {}), INT8),
    (("prune-channels", {}), AGAIN), (TUNE, ("prune-channels", {}), AGAIN, LOWER, INT8),
    (TUNE, ("prune-channels", {"share": 0.7}), AGAIN, LOWER, INT8),
    (TUNE, ("prune-channels", {"importance": "taylor"}), AGAIN, LOWER, INT8),
    (TUNE, ("prune-blocks", {"share": 0.4}), AGAIN, LOWER, INT8),
    (TUNE, ("prune-blocks", {"share": 0.6}), TUNE, LOWER, INT8),
    (TUNE, ("prune-blocks", {"share": 0.4}), AGAIN, ("qat", {})),
    (TUNE, ("tucker", {}), AGAIN), (TUNE, ("tucker", {}), AGAIN, LOWER, INT8), (TUNE, ("cp", {}), AGAIN),
    (TUNE, ("group-lasso", {})), (TUNE, ("l0", {})),
    (TUNE, ("distill", {"student": "small-cnn"}), LOWER, INT8),
)  # fmt: skip
# small pictures, where the pixels themselves suffice for trees that answer as the network does
PICTURES: tuple[tuple[Step, ...], ...] = (
    *CNN,
    (TUNE, ("prune-channels", {"share": 0.25}), AGAIN, LOWER, INT8),
    (TUNE, SMALLER, AGAIN), (TUNE, SMALLER, AGAIN, LOWER, INT8),
    (TUNE, SMALLER, AGAIN, ("prune-channels", {"share": 0.25}), AGAIN, LOWER, INT8),
    (("distill-tree", {"student": "boosted"}),), (("distill-tree", {"student": "boosted", "trees": 100}),),
    (("distill-tree", {"student": "forest", "depth": 10}),), (("boosted", {}),),
)  # fmt: skip
DENSE: tuple[tuple[Step, ...], ...] = (
    *PLAIN,
    (LOWER, ("prune-dense", {})), (LOWER, ("prune-dense", {"share": 0.75})), (LOWER, ("prune-dense", {}), INT8),
    (LOWER, ("prune-dense", {"share": 0.75}), INT8), (SVD, AGAIN), (SVD, AGAIN, LOWER, INT8), (LOWER, SVD),
    (("prune-channels", {}), AGAIN), (("prune-channels", {}), AGAIN, LOWER, INT8),
    (("group-lasso", {}),), (("l0", {}),), (("l1", {}),), (("rigl", {}),), (("lasso-features", {}),),
    (LOWER, ("half", {})),
    (("distill", {"student": "mlp-torch", "parameters": (("hidden", (16,)),)}),),
    (("distill", {"student": "mlp-torch", "parameters": (("hidden", (16,)),)}), LOWER, INT8),
    (("distill-tree", {"depth": 8}),), (("select-columns", {}), LONG), (("select-columns", {"share": 0.7}), LONG),
    (BOOSTED,), (BOOSTED, ("select-columns", {})), (BOOSTED, ("select-columns", {"share": 0.6})),
    (BOOSTED, ("select-columns", {"share": 0.7})), (FEW, ("select-columns", {"share": 0.7})),
)  # fmt: skip
GRU: tuple[tuple[Step, ...], ...] = (
    (TUNE,), (LOWER, INT8), (LOWER, ("dynamic-int8", {})), (LOWER, ("weight-only", {})),
    (("prune-recurrent", {"share": 0.5}),), (("prune-recurrent", {"share": 0.5}), AGAIN),
    (("prune-recurrent", {"share": 0.75}), AGAIN), (("prune-recurrent", {"share": 0.75}), TUNE),
    (("prune-recurrent", {"share": 0.75}),), (("prune-recurrent", {"share": 0.875}),),
    (("prune-recurrent", {"share": 0.9375}),), (("prune-recurrent", {"share": 0.9375}), LOWER, INT8),
)  # fmt: skip
ENCODER: tuple[tuple[Step, ...], ...] = (
    (LOWER, INT8), (LOWER, ("dynamic-int8", {})), (LOWER, ("weight-only", {})), (LOWER, ("weight-only", {"bits": 4})),
    (("prune-heads", {"heads": 0.0}),), (("prune-heads", {}),),
    (("prune-heads", {"heads": 0.0}), LOWER, ("dynamic-int8", {})),
    (("prune-heads", {"heads": 0.0, "neurons": 0.15}), LOWER, ("dynamic-int8", {})),
)  # fmt: skip
BLOCKS: tuple[Step, ...] = (TUNE, ("prune-blocks", {"share": 0.4}), AGAIN)
# what another runtime computes, after the levers that do not depend on it
ELSEWHERE: dict[str, tuple[tuple[tuple[Step, ...], str], ...]] = {
    "cnn": ((BLOCKS, "openvino-bf16"), ((*BLOCKS, LOWER, INT8), "openvino")),
    "picture": ((BLOCKS, "openvino-bf16"), ((*BLOCKS, LOWER, INT8), "openvino")),
    "gru": (((("prune-recurrent", {"share": 0.9375}),), "openvino"),),
    "encoder": (((("prune-heads", {"heads": 0.0}),), "openvino-bf16"),),
}
KINDS: dict[str, tuple[tuple[Step, ...], ...]] = {
    "cnn": CNN,
    "picture": PICTURES,
    "mlp": DENSE,
    "gru": GRU,
    "encoder": ENCODER,
}


def chains(kind: str) -> Iterator[Chain]:
    """(name, what makes the steps, runtime) of each candidate for this kind of network."""
    for steps in KINDS[kind]:
        yield _name(steps), partial(_made, steps), "onnxruntime"
    yield "openvino", tuple, "openvino"
    yield "openvino-bf16", tuple, "openvino-bf16"
    yield "static-int8, openvino", partial(_made, (LOWER, INT8)), "openvino"
    for steps, runtime in ELSEWHERE.get(kind, ()):
        yield f"{_name(steps)}, {runtime}", partial(_made, steps), runtime


def _name(steps: tuple[Step, ...]) -> str:
    return " + ".join(_label(step) for step in steps if step[0] != "lower")


def _made(steps: tuple[Step, ...]) -> Recipe:
    return tuple(registry()[name](**parameters) for name, parameters in steps)


def _label(step: Step) -> str:
    name, parameters = step
    told = ", ".join(f"{key}={value}" for key, value in parameters.items())
    return f"{name}({told})" if told else name
