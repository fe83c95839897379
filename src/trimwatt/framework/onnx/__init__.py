"""ONNX: the common ground on which models are compressed and deployed."""

from __future__ import annotations

from trimwatt.framework.onnx.adopt import adopt
from trimwatt.framework.onnx.external import self_contained
from trimwatt.framework.onnx.join import join
from trimwatt.framework.onnx.lower import lower
from trimwatt.framework.onnx.run import feeder, open_session, raw, scores, types
from trimwatt.framework.onnx.size import macs, parameters

__all__ = [
    "adopt", "feeder", "join", "lower", "macs", "open_session", "parameters", "raw", "scores", "self_contained",
    "types",
]  # fmt: skip
