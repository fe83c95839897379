"""A module as a TorchScript program: a file that opens without its Python source and without pickle."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework.torch.run import evaluated, example, forward
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn

# operators that a network does not need and that reach files
_REFUSED = ("aten::save", "aten::load", "aten::from_file", "prim::PythonOp", "prim::CallFunction")


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # TorchScript is deprecated, but torch.export's own file holds pickles, which are not loaded here
        warnings.simplefilter("ignore")
        yield


def save(workload: Workload, path: Path) -> bool:
    """Write the workload's module to `path`; False, and no file, where tracing does not give the same answers."""
    import torch

    module, rows = evaluated(workload.model), example(workload, 3)
    try:
        with _quiet(), torch.no_grad():
            program = torch.jit.freeze(torch.jit.trace(module, (rows[:2],), check_trace=False))
            # a size that tracing took for a constant shows with another number of rows
            same = all(
                np.allclose(forward(program, part), forward(module, part), 1e-4, 1e-5) for part in (rows, rows[:1])
            )
            if same:
                torch.jit.save(program, str(path))
    except Exception:  # tracing raises anything; what cannot be traced is handed over as weights
        return False
    return same


def load(path: Path) -> nn.Module:
    """Open what `save` wrote; raises InputError for a program with operators that no network needs."""
    import torch

    with _quiet():
        program: Any = torch.jit.load(str(path), map_location="cpu")
    kinds = {node.kind() for node in _nodes(program.inlined_graph)}
    foreign = sorted(kind for kind in kinds if kind in _REFUSED or not kind.startswith(("aten::", "prim::")))
    if foreign:
        raise InputError(f"{path.name} uses {foreign[0]}, which no exported network does; it was not run")
    return program  # type: ignore[no-any-return]


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from _nodes(block)
