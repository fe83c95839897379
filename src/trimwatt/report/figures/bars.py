"""Bars: before and after, and what the search took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimwatt.report import _study, _text
from trimwatt.report.figures._base import Study, altair, bar, bounds
from trimwatt.report.figures.theme import LIGHT, Palette, config

if TYPE_CHECKING:
    import altair as alt

_NAMES = 250


def before_after(study: Study, palette: Palette = LIGHT) -> alt.TopLevelMixin | None:
    """Energy a prediction of pairs, each pair on its own scale, with the intervals of the comparison."""
    pairs = _study.pairs(study)
    if not pairs:
        return None
    charts = [_pair(study, before, after, palette) for before, after in pairs]
    return altair().vconcat(*charts, spacing=24).configure(**config(palette))  # type: ignore[no-any-return]


def _pair(study: Study, before: dict[str, Any], after: dict[str, Any], palette: Palette) -> Any:
    alt = altair()
    whole = max(_study.cost_of(study, trial) or 0 for trial in (before, after))
    rows = [_row(study, trial, whole, when) for when, trial in (("before", before), ("after", after))]
    names = [row["label"] for row in rows]
    axis = alt.Axis(title=None, labelLimit=_NAMES, labelColor=palette.ink, labelFontSize=12, minExtent=_NAMES,
                    maxExtent=_NAMES)  # fmt: skip
    y = alt.Y("label:N", sort=names, scale=alt.Scale(domain=names, paddingInner=0.25), axis=axis)
    layers = []
    for row, colour in zip(rows, (palette.second, palette.first), strict=True):
        layers += _layers(row, colour, palette, y)
    return alt.layer(*layers).properties(width=650, height=62)


def _layers(row: dict[str, Any], colour: str, palette: Palette, y: Any) -> list[Any]:
    alt = altair()
    base, scale = alt.Chart(alt.Data(values=[row])), alt.Scale(domain=[0, 1.62])

    def at(name: str) -> Any:
        return alt.X(f"{name}:Q", scale=scale, axis=None)

    label = base.mark_text(align="left", dx=8, color=palette.ink).encode(x=at("edge"), y=y, text="text:N")
    drawn = base.mark_bar(**bar(row["origin"], colour)).encode(x=at("share"), y=y)
    interval = base.mark_rule(color=palette.ink, strokeWidth=1.6, clip=True).encode(x=at("low"), x2="high", y=y)
    return [drawn, interval, label] if row["low"] < row["high"] else [drawn, label]


def _row(study: Study, trial: dict[str, Any], whole: float, when: str) -> dict[str, Any]:
    """Joules are written for the baseline alone; the others stand by their ratio to it."""
    joules, (low, high) = _study.cost_of(study, trial) or 0, bounds(study, trial)
    ratio, energy = trial.get("ratio_to_baseline"), trial["energy_per_prediction"]
    if ratio and trial["id"] != study.get("baseline"):
        compared = _text.ratio(ratio)[0]
        first = (
            f"{compared} than the baseline" if ratio["verdict"] in ("less", "more") else f"{compared} to the baseline"
        )
    else:
        first = _text.energy(energy)[0]
    return {
        "label": f"{when}: {_text.plain(trial['name'])}", "share": joules / whole, "low": low / whole,
        "high": high / whole, "edge": max(joules, high) / whole, "origin": energy["origin"],
        "text": f"{first} · {study.get('metric')} {_text.quality(trial.get('quality'))[0]}",
    }  # fmt: skip


def ledger(study: Study, palette: Palette = LIGHT) -> alt.TopLevelMixin | None:
    """What the search itself took, by stage."""
    alt, stages = altair(), _study.ledger(study)
    if not stages:
        return None
    names = [stage["stage"] for stage in stages]
    axis = alt.Axis(title=None, labelColor=palette.ink, labelFontSize=12)
    y = alt.Y("stage:N", sort=names, scale=alt.Scale(domain=names), axis=axis)
    most = max(stage["joules"] for stage in stages) or 1.0
    layers = [layer for stage in stages for layer in _stage(stage, most, palette, y)]
    return alt.layer(*layers).properties(width=430, height=30 * len(names)).configure(**config(palette))  # type: ignore[no-any-return]


def _stage(stage: dict[str, Any], most: float, palette: Palette, y: Any) -> list[Any]:
    alt = altair()
    text = f"{_text.energy(stage)[0]}  ({stage['share']:.0%})"
    base = alt.Chart(alt.Data(values=[{"stage": stage["stage"], "width": stage["joules"] / most, "text": text}]))
    x = alt.X("width:Q", scale=alt.Scale(domain=[0, 1.35]), axis=None)
    drawn = base.mark_bar(**bar(stage["origin"], palette.third, height=17)).encode(x=x, y=y)
    return [drawn, base.mark_text(align="left", dx=7, color=palette.ink).encode(x=x, y=y, text="text:N")]
