"""How large a PyTorch module is and how much it computes."""

from __future__ import annotations

from trimwatt.framework.torch.run import evaluated, example
from trimwatt.workload import Workload


def parameters(workload: Workload) -> int | None:
    """Numbers the module has learned, each counted once where layers share them."""
    return int(sum(parameter.numel() for parameter in workload.model.parameters()))


def macs(workload: Workload) -> int | None:
    """Multiply-accumulates of convolutions, dense layers and matrix products for one row."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    rows = example(workload, 1)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        evaluated(workload.model)(rows)
    return int(counter.get_total_flops()) // 2
