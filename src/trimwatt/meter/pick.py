"""The best meter this machine offers."""

from __future__ import annotations

from trimwatt.meter import cpu_model, rapl
from trimwatt.meter._base import Meter


def pick() -> Meter:
    """Powercap counters where they can be read, otherwise the model of CPU time."""
    return rapl.open_meter() or cpu_model.detect()
