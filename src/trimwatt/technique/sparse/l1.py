"""The lasso on every weight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.errors import TrialFailed
from trimwatt.technique._base import Maturity, applies_to
from trimwatt.technique.sparse._plan import Lasso, steps
from trimwatt.workload import Workload


@dataclass(frozen=True)
class L1(Lasso):
    """Train further while soft thresholding takes a share of the weights to zero (proximal gradient).

    Zeros save neither time nor bytes by themselves: dense kernels multiply by them, files store them. They pay where
    few enough are left for sparse products (benchmarks/csr_break_even.py); see `group-lasso` for channels that go.
    """

    name: ClassVar[str] = "l1"
    maturity: ClassVar[Maturity] = "experimental"
    reference: ClassVar[str] = "Tibshirani 1996; Parikh and Boyd 2014, doi:10.1561/2400000003"

    share: float = 0.9


@applies_to(L1, "torch")
def _l1(technique: L1, workload: Workload) -> Workload:
    require("torch", "torch", "Sparse training")
    from trimwatt.framework.torch import Hooks, fit, gates, masks

    if not masks.layers(workload.model):
        raise TrialFailed("l1 found no convolution or dense layer whose weights could go to zero")
    pull = gates.Proximal(
        gates.Weights(), technique.share, technique.strength, steps(technique, workload), gates.largest
    )
    module = fit(workload, technique, hooks=Hooks(after_step=pull.after_step, keep_last=True))
    pull.finish(module)
    return replace(workload, model=module)
