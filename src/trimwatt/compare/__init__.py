"""Comparisons with stated error: randomised pairs on the same cores, and no claim that the host cannot show.

The package is also `tw.compare(...)`: calling it compares, see `trimwatt.compare.api.compare`. A folder and a
function of the same name cannot both hang on `trimwatt` otherwise, and both names are fixed.
"""

from __future__ import annotations

from trimwatt._imports import make_callable

make_callable(__name__, "trimwatt.compare.api", "compare")
