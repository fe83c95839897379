"""Meters: sensors behind one contract, and what a process's share of their readings is.

The package is also `tw.meter(...)`: calling it opens a window, see `trimwatt.meter.session.meter`. A folder and a
function of the same name cannot both hang on `trimwatt` otherwise, and both names are fixed.
"""

from __future__ import annotations

from trimwatt._imports import make_callable

make_callable(__name__, "trimwatt.meter.session", "meter")
