"""What the networks of this folder share: preprocessing, a seeded start, the right number of outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.framework.prepare import fit_prepare
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from torch import nn


def untrained(
    workload: Workload, kind: Literal["scaled", "nchw"], make: Callable[[tuple[int, ...], int], nn.Module]
) -> Workload:
    """The workload with an untrained network for its data, trained by a later step.

    make(shape, outputs): the network for prepared rows `(n, *shape)` with so many outputs.
    """
    torch = require("torch", "torch", "A network")
    data = workload.rows
    prepare = fit_prepare(data, kind)
    shape = prepare.transform(data.train.take(slice(0, 1)).x).shape[1:]
    outputs = data.task.width(data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(workload.seed)
        model = make(shape, outputs).eval()
    return replace(
        workload, model=model, form="torch", prepare=prepare, class_columns=None, by_batch=False,
        outputs=data.task.outputs[0], decide=data.task.decision(data),
    )  # fmt: skip


def image(workload: Workload, name: str, least: int) -> None:
    """Refuse rows that are no images of at least `least` pixels a side."""
    data = workload.rows
    if data.kind != "image":
        raise InputError(f"{name} takes images, these rows are a table; use mlp-torch")
    side = data.picture.side if data.picture is not None else 0
    if side < least:
        raise InputError(f"{name} takes images from {least} pixels a side, these have {side}; use mlp-torch")
