"""The lasso on every weight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.errors import TrialFailed
from trimwatt.technique._base import applies_to
from trimwatt.technique.sparse._plan import SparseTraining, steps
from trimwatt.workload import Workload


@dataclass(frozen=True)
class L1(SparseTraining):
    """Train further while soft thresholding takes a share of the weights to zero (proximal gradient).

    Zeros save neither time nor bytes by themselves: dense kernels multiply by them, files store them. They pay where
    few enough are left for sparse products, as the runtime `csr` does; see `group-lasso` for channels that really go.
    """

    name: ClassVar[str] = "l1"
    reference: ClassVar[str] = "Tibshirani 1996; Parikh and Boyd 2014, doi:10.1561/2400000003"

    share: float = 0.9


@applies_to(L1, "torch")
def _l1(technique: L1, workload: Workload) -> Workload:
    require("torch", "torch", "Sparse training")
    from trimwatt.framework.torch import Hooks, fit, gates, masks

    if not masks.layers(workload.model):
        raise TrialFailed("l1 found no convolution or dense layer whose weights could go to zero")
    settle = partial(gates.largest, share=technique.share)
    pull = gates.Proximal(gates.Weights(), technique.share, steps(technique, workload), settle)
    module = fit(workload, technique, hooks=Hooks(after_step=pull.after_step, keep_last=True))
    pull.finish(module)
    return replace(workload, model=module)
