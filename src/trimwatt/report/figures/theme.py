"""Colours that tell apart for everyone (Okabe and Ito 2008), and the figures' looks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Palette:
    """Colours by what they mean."""

    ink: str
    muted: str
    grid: str
    paper: str
    first: str
    second: str
    third: str
    fourth: str


LIGHT = Palette("#1b2430", "#5b6675", "#e3e7ec", "#ffffff", "#0072b2", "#d55e00", "#009e73", "#a8588a")
DARK = Palette("#e8edf3", "#9aa7b6", "#2a3440", "#161d26", "#56b4e9", "#e69f00", "#00b886", "#cc79a7")
# stand-ins that no real figure uses, so that they can be found again in a finished drawing
STAND_IN = Palette("#010101", "#010102", "#010103", "#010104", "#010105", "#010106", "#010107", "#010108")


def to_variables(svg: str) -> str:
    """`svg` drawn with STAND_IN, its colours as CSS variables: `fill="var(--first)"`."""
    for name, colour in asdict(STAND_IN).items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg


def variables(palette: Palette) -> str:
    """CSS declarations of `palette`."""
    return "".join(f"--{name}:{colour};" for name, colour in asdict(palette).items())


def config(palette: Palette) -> dict[str, Any]:
    """Vega-Lite configuration: quiet axes, no frame, our colours."""
    font = "Helvetica Neue, Arial, Liberation Sans, sans-serif"
    axis = {
        "domain": False, "ticks": False, "gridColor": palette.grid, "labelColor": palette.muted, "labelPadding": 6,
        "titleColor": palette.muted, "titleFontWeight": "normal", "titlePadding": 10, "labelFontSize": 11,
        "titleFontSize": 12, "labelFont": font, "titleFont": font,
    }  # fmt: skip
    legend = {
        "labelColor": palette.ink, "labelFont": font, "labelFontSize": 12, "title": None, "orient": "top",
        "direction": "horizontal", "symbolStrokeWidth": 1.5, "columnPadding": 18, "offset": 10, "symbolSize": 90,
    }  # fmt: skip
    paper = "transparent" if palette == STAND_IN else palette.paper
    return {
        "background": paper, "view": {"stroke": None}, "axis": axis, "legend": legend,
        "text": {"font": font, "fontSize": 11.5, "color": palette.ink}, "padding": 6,
    }  # fmt: skip
