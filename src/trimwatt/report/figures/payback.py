"""When the search is paid back: energy spent in all, against the number of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimwatt.report import _study, _text
from trimwatt.report.figures._base import Study, altair, log_axis
from trimwatt.report.figures.theme import LIGHT, Palette, config

if TYPE_CHECKING:
    import altair as alt

Line = tuple[str, float, float]
_STEPS = 60


def payback(study: Study, palette: Palette = LIGHT) -> alt.TopLevelMixin | None:
    """Energy so far against predictions made: the baseline, and the recommendation with what it cost to find.

    None where the baseline itself is recommended, or nothing is.
    """
    lines = _lines(study)
    if not lines:
        return None
    alt, (first, last) = altair(), _range(study)
    grid = [first * (last / first) ** (step / _STEPS) for step in range(_STEPS + 1)]
    values = [{"line": n, "predictions": k, "joules": start + k * each} for n, start, each in lines for k in grid]
    x_scale = alt.Scale(type="log", domain=[first, last], nice=False)
    low, high = min(value["joules"] for value in values), max(value["joules"] for value in values)
    y_scale = alt.Scale(type="log", domain=[low, high], nice=False)
    x = alt.X("predictions:Q", scale=x_scale, axis=log_axis(first, last, "predictions", "", grid=False))
    y = alt.Y("joules:Q", scale=y_scale, axis=log_axis(low, high, "energy so far", "J"))
    curves = _curves(alt.Chart(alt.Data(values=values)), [name for name, _, _ in lines], palette)
    layers = [curves.encode(x=x, y=y), *_crossings(study, lines[0][2], palette, x, y)]
    return alt.layer(*layers).properties(width=430, height=210).configure(**config(palette))  # type: ignore[no-any-return]


def _lines(study: Study) -> list[Line]:
    """Name, joules spent before the first prediction, joules of each."""
    first, chosen = _study.baseline(study), _study.recommended(study)
    if first is None or chosen is None or first["id"] == chosen["id"] or not study.get("payback"):
        return []
    before, after = _study.cost_of(study, first), _study.cost_of(study, chosen)
    if not before or not after:
        return []
    lines = [("baseline", 0.0, before)]
    if chosen.get("cost"):
        lines.append(("recommended, its own cost", chosen["cost"]["joules"], after))
    if spent := _study.total(study):
        lines.append(("recommended, the whole study", spent["joules"], after))
    return lines


def _counts(study: Study) -> list[float]:
    payback = study.get("payback") or {}
    counts: list[Any] = [payback.get(f"{key}_predictions") for key in ("own", "study")]
    return [float(count) for count in counts if _text.known(count) and count > 0]


def _range(study: Study) -> tuple[float, float]:
    counts = _counts(study)
    if not counts:
        return 1.0, 1e7
    return max(1.0, min(counts) / 100), max(1.0, max(counts)) * 30


def _curves(chart: Any, names: list[str], palette: Palette) -> Any:
    alt = altair()
    colours = alt.Scale(domain=names, range=[palette.second, palette.first, palette.fourth][: len(names)])
    dashes = alt.Scale(domain=names, range=[[1, 0], [7, 3], [2, 3]][: len(names)])
    legend = alt.Legend(title=None, orient="top", direction="vertical", labelLimit=400, symbolType="stroke")
    return chart.mark_line(strokeWidth=2).encode(
        color=alt.Color("line:N", sort=names, scale=colours, legend=legend),
        strokeDash=alt.StrokeDash("line:N", sort=names, scale=dashes, legend=legend),
    )


def _crossings(study: Study, joules: float, palette: Palette, x: Any, y: Any) -> list[Any]:
    alt = altair()
    values = [{"predictions": n, "joules": n * joules, "text": _text.number(n)} for n in _counts(study)]
    if not values:
        return []
    base = alt.Chart(alt.Data(values=values))
    dot = base.mark_point(filled=True, size=70, color=palette.ink, opacity=1)
    name = base.mark_text(align="left", dx=9, dy=9, color=palette.ink, fontWeight=600)
    return [dot.encode(x=x, y=y), name.encode(x=x, y=y, text="text:N")]
