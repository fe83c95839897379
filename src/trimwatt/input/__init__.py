"""Whatever the user has, as `Data` and `Workload`: tables, arrays, images, PyTorch data sets, callables, models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimwatt.input.calls import resolve
    from trimwatt.input.classlist import read_classes
    from trimwatt.input.loading import check_exists, load
    from trimwatt.input.models import load_model
    from trimwatt.input.predict import describe, rows_for_prediction

__all__ = ["check_exists", "describe", "load", "load_model", "read_classes", "resolve", "rows_for_prediction"]

_HOMES = {
    "check_exists": "loading",
    "describe": "predict",
    "load": "loading",
    "load_model": "models",
    "read_classes": "classlist",
    "resolve": "calls",
    "rows_for_prediction": "predict",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
