"""Why a model answers the same rows differently when it is asked again, and what would end it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from trimwatt.framework.apart import differing
from trimwatt.framework.own import Answer
from trimwatt.workload import Workload

_DRAWS = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")


def remedy(given: Workload, ask: Callable[[], Answer], bound: float) -> str:
    """What the model does and what to change. ask: asks it once more; the random state of the process may change."""
    if given.form == "onnx":
        return _of_graph(given.model)
    _seed()
    first = ask()
    _seed()
    by_seed = not len(differing(first, ask(), bound))
    if given.form == "torch":
        return _OF_MODULE if by_seed else _OF_STATE
    return _OF_ESTIMATOR if by_seed else _OF_STATE


_OF_MODULE = (
    "it draws random numbers also in evaluation mode, as an always-on dropout does; write "
    "F.dropout(x, training=self.training) or nn.Dropout, or seed a generator of its own inside forward"
)
_OF_ESTIMATOR = (
    "it draws random numbers while it predicts; make predict use a generator that it seeds anew in each call, "
    "np.random.default_rng(0) say"
)
_OF_STATE = (
    "it keeps something from one call to the next, a hidden state or a generator of random numbers; reset or seed it "
    "at the beginning of each call"
)


def _of_graph(content: bytes) -> str:
    from trimwatt.framework.onnx import _edit

    nodes = list(_edit.load(content).graph.node)
    drawing = [node for node in nodes if node.op_type in _DRAWS or (node.op_type == "Dropout" and len(node.input) > 2)]
    if not drawing:
        return "something in the graph changes from run to run; export the model in evaluation mode"
    named = ", ".join(dict.fromkeys(f"{node.op_type} {node.name!r}" if node.name else node.op_type for node in drawing))
    return f"its graph draws random numbers ({named}); export it in evaluation mode, without these nodes"


def _seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)
