"""Ask a PyTorch module: rows in, scores out, without disturbing it or the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework.torch.copying import copied
from trimwatt.workload import Array, Rows, Workload, count, take, unmasked

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH = 256


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def threads(number: int) -> Iterator[None]:
    """PyTorch works with `number` threads inside, and with as many as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def evaluated(module: nn.Module) -> nn.Module:
    """The module in evaluation mode: itself where it is, else a copy, so that a training module stays one."""
    if not any(getattr(part, "training", False) for part in module.modules()):
        return module
    return copied(module).eval()


@contextmanager
def unfused() -> Iterator[None]:
    """Attention layers step by step inside: fused, they can neither be traced nor counted."""
    import torch

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def tensor(workload: Workload, rows: Rows) -> torch.Tensor:
    """What the module takes for `rows`: prepared where the workload says so, else as stored, type and all.

    Raises InputError for named columns without preprocessing and for text.
    """
    import torch

    array = rows if workload.prepare is None else workload.prepare.transform(rows)
    if isinstance(array, dict):
        raise InputError(
            f"a PyTorch module takes one array, got {len(array)} named columns; return a Workload with prepare"
        )
    if isinstance(array, np.ma.MaskedArray):
        array = unmasked(array)
    array = np.ascontiguousarray(array)
    try:
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    except TypeError:
        raise InputError(
            f"a PyTorch module takes numbers, rows are {array.dtype}; return a Workload with prepare"
        ) from None


def forward(module: nn.Module, rows: torch.Tensor, batch: int = BATCH) -> Array:
    """The module's output (n, ...) as float32, `batch` rows at a time; the module must be in evaluation mode."""
    import torch

    with torch.inference_mode():
        parts = [module(rows[start : start + batch]).float().numpy() for start in range(0, len(rows), batch)]
    return np.concatenate(parts)


def scores(workload: Workload, rows: Rows) -> Array:
    """Probabilities (n, k) in the order of the classes, or values (n,), for rows as stored."""
    module = evaluated(workload.model)
    batch = workload.scenario.batch_size if workload.by_batch else BATCH
    parts = [forward(module, tensor(workload, part), batch) for part in workload.in_batches(rows, 8 * BATCH)]
    return workload.probabilities(np.concatenate(parts)[: count(rows)])


def example(workload: Workload, n: int = 2) -> Any:
    """The first `n` training rows as the module takes them."""
    return tensor(workload, take(workload.rows.train.x, slice(0, n)))


def sample(workload: Workload, most: int) -> Any:
    """Up to `most` training rows, evenly spread over all, as the module takes them."""
    n = len(workload.rows.train)
    index = np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
    return tensor(workload, take(workload.rows.train.x, index))
