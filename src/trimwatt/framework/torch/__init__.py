"""PyTorch modules: take in, ask, size, train, export."""

from __future__ import annotations

from trimwatt.framework.torch.adopt import adopt
from trimwatt.framework.torch.export import to_onnx
from trimwatt.framework.torch.fit import Plan, fit
from trimwatt.framework.torch.heads import heads
from trimwatt.framework.torch.hooks import Batch, Hooks
from trimwatt.framework.torch.run import scores
from trimwatt.framework.torch.size import macs, parameters

__all__ = ["Batch", "Hooks", "Plan", "adopt", "fit", "heads", "macs", "parameters", "scores", "to_onnx"]
