"""Finds the model that does the job for the least energy, and proves it.

import trimwatt as tw

with tw.meter("train") as m:
    train()
study = tw.optimize(model, data=(train, val, test), metric="accuracy", max_drop=0.01, budget="10 kJ")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimwatt._api import Study
    from trimwatt._optimize import optimize
    from trimwatt.compare.api import compare
    from trimwatt.energy import Energy, Reading
    from trimwatt.errors import InputError, TrimwattError
    from trimwatt.meter.session import meter, metered
    from trimwatt.runtime.deployed import load
    from trimwatt.technique.train import FineTune, Train
    from trimwatt.workload import Workload

__version__ = "0.1.0"

_HOMES = {
    "Energy": "trimwatt.energy",
    "FineTune": "trimwatt.technique.train",
    "InputError": "trimwatt.errors",
    "Reading": "trimwatt.energy",
    "Study": "trimwatt._api",
    "Train": "trimwatt.technique.train",
    "TrimwattError": "trimwatt.errors",
    "Workload": "trimwatt.workload",
    "compare": "trimwatt.compare.api",
    "load": "trimwatt.runtime.deployed",
    "meter": "trimwatt.meter.session",
    "metered": "trimwatt.meter.session",
    "optimize": "trimwatt._optimize",
}

__all__ = [
    "Energy", "FineTune", "InputError", "Reading", "Study", "Train", "TrimwattError", "Workload",
    "compare", "load", "meter", "metered", "optimize",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Names are imported when first used, so that `import trimwatt` costs nothing."""
    from importlib import import_module

    if name == "integrations":
        return import_module("trimwatt.integrations")
    if name not in _HOMES:
        raise AttributeError(f"module 'trimwatt' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext trimwatt` calls: the magics `%energy` and `%%energy`."""
    from trimwatt.integrations import notebook

    notebook.load(shell)
