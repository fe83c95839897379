"""The figures of a study as Altair charts: for the report as SVG, and to save as PNG, PDF or SVG for a paper."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimwatt import _imports
from trimwatt.errors import InputError
from trimwatt.report.figures.bars import before_after, ledger
from trimwatt.report.figures.payback import payback
from trimwatt.report.figures.scatter import scatter
from trimwatt.report.figures.theme import STAND_IN, to_variables

if TYPE_CHECKING:
    import altair as alt

__all__ = ["FOUND", "TOOK", "before_after", "drawings", "ledger", "payback", "save", "scatter", "svg"]


def _convert() -> Any:
    return _imports.require("vl_convert", "report", "Drawing figures")


def svg(chart: alt.TopLevelMixin, name: str = "figure") -> str:
    """`chart`, drawn with STAND_IN, as an SVG for a page: colours as CSS variables, no address of anything.

    name: what its inner ids begin with, so that two figures on a page do not share one.
    """
    drawn = to_variables(str(_convert().vegalite_to_svg(chart.to_dict())))
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", drawn)
    for space in (' xmlns="http://www.w3.org/2000/svg"', ' xmlns:xlink="http://www.w3.org/1999/xlink"'):
        drawn = drawn.replace(space, "", 1)
    return drawn


def save(chart: alt.TopLevelMixin, path: Path) -> Path:
    """Write `chart` as .svg, .png or .pdf, by the name of `path`; raises InputError for another."""
    specification = chart.to_dict()
    if path.suffix == ".svg":
        path.write_text(_convert().vegalite_to_svg(specification), encoding="utf-8")
    elif path.suffix == ".png":
        path.write_bytes(_convert().vegalite_to_png(specification, scale=2))
    elif path.suffix == ".pdf":
        path.write_bytes(_convert().vegalite_to_pdf(specification))
    else:
        raise InputError(f"a figure is saved as .svg, .png or .pdf, got {path.name!r}")
    return path


# those that say what the study found do not change with what it took in the end
FOUND, TOOK = ("scatter", "before_after"), ("ledger", "payback")


def drawings(study: dict[str, Any], names: Sequence[str] = (*FOUND, *TOOK)) -> dict[str, str]:
    """The figures `names` that this study has data for, as SVG for a page.

    Raises MissingExtra without the extra `report`.
    """
    _convert()
    makers = {"scatter": scatter, "before_after": before_after, "ledger": ledger, "payback": payback}
    charts = {name: makers[name](study, STAND_IN) for name in names}
    return {name: svg(chart, name) for name, chart in charts.items() if chart is not None}
