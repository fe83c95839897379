"""PyTorch modules as ONNX."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from trimwatt.errors import TrialFailed, first_line
from trimwatt.framework.torch.run import evaluated, example, unfused
from trimwatt.workload import Workload

if TYPE_CHECKING:
    import torch
    from torch import nn

OPSET = 17


def to_onnx(workload: Workload) -> bytes:
    """The module as a serialized ONNX model, rows on a free first axis, batch normalization folded.

    Its one input is called `prepared` (float32, what `prepare` gives) or `x` (rows as stored), its output `scores`.
    Preprocessing and decision are not in it. Raises TrialFailed where neither exporter can.
    """
    module, rows = evaluated(workload.model), example(workload)
    name = "x" if workload.prepare is None else "prepared"
    try:
        return _traced(module, rows, name)
    except Exception as first:  # whatever a tracer trips over, the other exporter may not
        try:
            return _captured(module, rows, name)
        except Exception as second:
            why = "; and ".join(first_line(error, 160, named=True) for error in (first, second))
            raise TrialFailed(f"the module does not export to ONNX: {why}") from second


@contextmanager
def _quiet() -> Iterator[None]:
    """Both exporters talk at length: warnings, loggers, and a whole graph on stdout where tracing fails."""
    import torch

    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    torch._C._jit_set_onnx_log_output_stream("stderr")
    try:
        with warnings.catch_warnings(), torch.no_grad(), unfused():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _traced(module: nn.Module, rows: torch.Tensor, name: str) -> bytes:
    """By tracing: ten times as fast as capturing, and smaller files."""
    import torch

    buffer = io.BytesIO()
    with _quiet():
        torch.onnx.export(
            module, (rows,), cast(Any, buffer), input_names=[name], output_names=["scores"],
            dynamic_axes={name: {0: "n"}, "scores": {0: "n"}}, opset_version=OPSET,
            do_constant_folding=True, dynamo=False,
        )  # fmt: skip
    return buffer.getvalue()


def _captured(module: nn.Module, rows: torch.Tensor, name: str) -> bytes:
    """By torch.export, for modules that the tracer does not know how to follow."""
    import torch

    with _quiet():
        program = torch.onnx.export(
            module, (rows,), input_names=[name], output_names=["scores"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), dynamo=True, verbose=False,
        )  # fmt: skip
    if program is None:
        raise TrialFailed("the exporter gave nothing")
    return bytes(program.model_proto.SerializeToString())
