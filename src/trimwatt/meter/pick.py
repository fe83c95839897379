"""The best meter this machine offers."""

from __future__ import annotations

from importlib.metadata import entry_points

from trimwatt.meter import cpu_model, rapl
from trimwatt.meter._base import Meter


def pick() -> Meter:
    """A plugin's sensor where one says it can read, else powercap counters, else the model of CPU time.

    A plugin (entry points `trimwatt.sensors`) is a callable that returns a Meter, or None where it cannot read.
    """
    for point in entry_points(group="trimwatt.sensors"):
        found: Meter | None = point.load()()
        if found is not None:
            return found
    return rapl.open_meter() or cpu_model.detect()
