"""Networks from PyTorch keep dense weights transposed: their channels are removed as well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from trimwatt.framework import onnx as framework
from trimwatt.technique import apply
from trimwatt.technique.lower import Lower
from trimwatt.technique.oneshot import ObsChannels
from trimwatt.testing import samples
from trimwatt.workload import Workload


def exported() -> Workload:
    work = samples.digits(rows=300)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 10),
        )  # fmt: skip
    return apply(Lower(), replace(work, model=module.eval(), form="torch", prepare=_Floats(), outputs="logits"))


class _Floats:
    """Pixels as float32."""

    def transform(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows, dtype=np.float32)

    def to_onnx(self) -> bytes:
        import onnx

        node = onnx.helper.make_node("Cast", ["x"], ["prepared"], to=onnx.TensorProto.FLOAT)
        ends = [
            onnx.helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, [None, 64]),
            onnx.helper.make_tensor_value_info("prepared", onnx.TensorProto.FLOAT, [None, 64]),
        ]
        graph = onnx.helper.make_graph([node], "floats", ends[:1], ends[1:])
        opsets = [onnx.helper.make_opsetid("", 17)]
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def test_convolutions_before_transposed_dense_layers_shrink() -> None:
    work = exported()
    made = apply(ObsChannels(share=0.5, round_to=4, calibration_rows=100), work)
    sizes = framework.parameters(made), framework.parameters(work)
    assert sizes[0] is not None and sizes[1] is not None and sizes[0] < 0.6 * sizes[1]
    x = work.rows.val.x
    apart = np.abs(framework.scores(made, x) - framework.scores(work, x)).max()
    assert np.isfinite(apart) and apart < 0.2
