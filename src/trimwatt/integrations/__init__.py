"""Where others meet the meter: test runners, notebooks, training loops, logs of other meters."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Its modules are imported when first used: `tw.integrations.lightning.EnergyCallback`."""
    from importlib import import_module

    home = f"{__name__}.{name}"
    try:
        return import_module(home)
    except ModuleNotFoundError as error:
        if error.name != home:
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
