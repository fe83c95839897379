"""Where the channels of stored pictures stand, as a given network tells that takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trimwatt.picture import channels_first
from trimwatt.workload import Workload


def located(workload: Workload) -> Workload:
    """The workload with it said whether its pictures have their channels first; the same for other rows."""
    rows = workload.rows
    if rows.picture is None or rows.channels_first is not None:
        return workload
    first = channels_first(rows.train.x.shape[1:], taken(workload))  # type: ignore[union-attr]
    return replace(workload, data=replace(rows, channels_first=first))


def taken(workload: Workload) -> int | None:
    """How many channels the first convolution of a network takes; None where it has none."""
    if workload.form == "torch":
        return next(filter(None, map(_taken_by, workload.model.modules())), None)
    return _taken_in_onnx(workload.model) if workload.form == "onnx" else None


def _taken_by(part: Any) -> int | None:
    """How many channels this layer takes; None where it is no convolution over pictures."""
    weight: Any = getattr(part, "weight", None)
    if getattr(weight, "ndim", 0) != 4:
        return None
    # what was traced keeps its weights alone
    return int(getattr(part, "in_channels", weight.shape[1]))


def _taken_in_onnx(model: bytes) -> int | None:
    import onnx

    graph = onnx.load_model_from_string(model).graph
    sizes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        size = sizes.get(node.input[1], []) if node.op_type == "Conv" else []
        if len(size) == 4:
            groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
            return int(size[1] * groups)
    return None
