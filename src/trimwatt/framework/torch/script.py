"""A module as a TorchScript program: a file that opens without its Python source and without pickle."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework.torch import script_check
from trimwatt.framework.torch.run import evaluated, example, forward
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn


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
                written = io.BytesIO()
                torch.jit.save(program, written)
                # what could not be opened again is not handed over
                load(written.getvalue(), path.name)
                path.write_bytes(written.getvalue())
    except Exception:  # tracing raises anything; what cannot be traced is handed over as weights
        return False
    return same


def load(data: bytes, name: str) -> nn.Module:
    """Open what `save` wrote, the content of file `name`.

    Raises InputError for a program that does or holds what no network needs, before anything of it runs.
    """
    import torch

    safe = script_check.inspected(data, name)
    try:
        with _quiet():
            program: Any = torch.jit.load(io.BytesIO(safe), map_location="cpu")
    except Exception as error:  # torch's reader raises RuntimeError and more
        raise InputError(f"{name} cannot be read by this version of PyTorch; make the artifact again") from error
    script_check.check_kinds({node.kind() for node in _nodes(program.inlined_graph)}, name)
    return program  # type: ignore[no-any-return]


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from _nodes(block)
