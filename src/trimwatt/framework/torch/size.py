"""How large a PyTorch module is and how much it computes."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

from trimwatt.framework.torch.run import cores, evaluated, example, unfused
from trimwatt.workload import Workload

LARGE = 5e7


def parameters(workload: Workload) -> int | None:
    """Numbers the module has learned, each counted once where layers share them."""
    return int(sum(parameter.numel() for parameter in workload.model.parameters()))


def macs(workload: Workload) -> int | None:
    """Multiply-accumulates of convolutions, dense layers and matrix products for one row."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    rows, module = example(workload, 1), evaluated(workload.model)
    with warnings.catch_warnings(), torch.no_grad(), unfused():
        warnings.simplefilter("ignore")
        # recurrent layers of oneDNN and fused attention hide their products from the counter
        plain = torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH)
        with plain[0], plain[1], FlopCounterMode(display=False) as counter:
            module(rows)
    return int(counter.get_total_flops()) // 2


def is_large(workload: Workload, batch: int) -> bool:
    """Whether a batch of rows is work enough to be shared or halved: below, what that costs exceeds what it saves."""
    return (macs(workload) or 0) * batch >= LARGE


def team(workload: Workload, batch: int) -> int:
    """With how many threads to work on batches of so many rows: half of the cores where that is worth it, else one.

    Never all of them: where one core is busy with something else, every layer waits for the thread that stands there,
    spinning. On two cores beside one busy process a ResNet-20's step took 5.4 s with two threads and 0.2 s with one.
    """
    return max(1, cores() // 2) if is_large(workload, batch) else 1


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16; False where it does not say."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
