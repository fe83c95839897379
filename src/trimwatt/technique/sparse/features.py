"""The lasso on inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.errors import TrialFailed
from trimwatt.technique._base import Maturity, applies_to
from trimwatt.technique.sparse._plan import Lasso, steps
from trimwatt.workload import Workload


@dataclass(frozen=True)
class LassoFeatures(Lasso):
    """Train further while the inputs that matter least lose all their weights, and drop those from the first layer.

    For networks whose first layer is dense and reads all (prepared) inputs. The penalty is on the columns of that
    layer, each as one; with one output and no hidden layer that is the lasso.
    """

    name: ClassVar[str] = "lasso-features"
    maturity: ClassVar[Maturity] = "experimental"
    reference: ClassVar[str] = "Tibshirani 1996; Feng and Simon 2017, arXiv:1711.07592"
    shrinks: ClassVar[frozenset[str]] = frozenset({"parameters", "macs"})


@applies_to(LassoFeatures, "torch")
def _features(technique: LassoFeatures, workload: Workload) -> Workload:
    require("torch", "torch", "Sparse training")
    from trimwatt.framework.torch import Hooks, fit, gates, gates_inputs
    from trimwatt.framework.torch.run import evaluated, example

    name = gates_inputs.first_dense(evaluated(workload.model), example(workload, 1))
    if name is None:
        raise TrialFailed("lasso-features takes networks whose first layer is dense and reads all inputs")
    pull = gates.Proximal(
        gates.Columns(name), technique.share, technique.strength, steps(technique, workload), gates.largest
    )
    module = fit(workload, technique, hooks=Hooks(after_step=pull.after_step, keep_last=True))
    kept = pull.finish(module)
    return replace(workload, model=gates_inputs.dropped_(module, name, kept))
