"""Energy against quality: every candidate, the floor, and the staircase of what nothing else beats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimwatt.report import _study, _text
from trimwatt.report.figures import layout
from trimwatt.report.figures._base import ROLES, Study, altair, bounds, log_axis, role
from trimwatt.report.figures.theme import LIGHT, Palette, config

if TYPE_CHECKING:
    import altair as alt

_STAR = "M0,-1.1L0.31,-0.36L1.1,-0.33L0.47,0.16L0.68,0.92L0,0.48L-0.68,0.92L-0.47,0.16L-1.1,-0.33L-0.31,-0.36Z"
_SHAPES = (_STAR, "square", "circle", "circle", "triangle-down")
_LABEL, _MANY = 36, 16


@dataclass(frozen=True)
class Frame:
    """The visible range with the scales and axes that every layer shares; layers that differ would hide them."""

    axes: layout.Axes
    palette: Palette
    across: dict[str, Any]
    along: dict[str, Any]

    @property
    def x(self) -> Any:
        return self.x_of("joules")

    @property
    def y(self) -> Any:
        return self.y_of("quality")

    def x_of(self, field: str) -> Any:
        return altair().X(f"{field}:Q", **self.across)

    def y_of(self, field: str) -> Any:
        return altair().Y(f"{field}:Q", **self.along)


def scatter(study: Study, palette: Palette = LIGHT) -> alt.LayerChart | None:
    """Energy against quality with two-way error bars; None where nothing was measured.

    Horizontal bars are the intervals of the comparison with the baseline. Candidates far below the floor stand at the
    lower edge with their quality beside their name.
    """
    alt, points = altair(), _points(study)
    if not points:
        return None
    frame = _frame(study, points, palette)
    rows = [_row(study, point, frame.axes) for point in points]
    layers = [*_floor(study, frame), *_front(study, frame), *_bars(rows, frame), _dots(rows, frame)]
    chart = alt.layer(*layers, *_names(rows, _floor_of(study), frame)).properties(
        width=layout.WIDTH, height=layout.HEIGHT
    )
    return chart.configure(**config(palette))  # type: ignore[no-any-return]


def _points(study: Study) -> list[layout.Point]:
    points = []
    for trial in _study.measured(study):
        quality, (low, high) = trial["quality"], bounds(study, trial)
        ends = (quality["low"], quality["high"])
        worse, better = ends if quality["greater_is_better"] else ends[::-1]
        joules = _study.cost_of(study, trial) or 0.0
        points.append(layout.Point(trial["id"], joules, low, high, quality["value"], worse, better))
    return [point for point in points if point.low > 0]


def _floor_of(study: Study) -> float | None:
    value = (study.get("floor") or {}).get("value")
    return value if _text.known(value) else None


def _frame(study: Study, points: list[layout.Point], palette: Palette) -> Frame:
    alt = altair()
    greater = _study.measured(study)[0]["quality"]["greater_is_better"]
    special = [study[key] for key in ("recommended", "baseline") if study.get(key)]
    axes = layout.axes(points, _floor_of(study), special, greater)
    x_scale = alt.Scale(type="log", domain=[axes.x_low, axes.x_high], nice=False)
    y_scale = alt.Scale(domain=sorted((axes.worst, axes.best)), zero=False, nice=False, reverse=not greater)
    below = log_axis(axes.x_low, axes.x_high, "energy a prediction, logarithmic (left is better)", "J")
    beside = alt.Axis(title=f"{study.get('metric')} (up is better)", tickCount=6)
    return Frame(axes, palette, {"scale": x_scale, "axis": below}, {"scale": y_scale, "axis": beside})


def _row(study: Study, point: layout.Point, axes: layout.Axes) -> dict[str, Any]:
    trial = _study.find(study, point.id) or {}
    name, edge = _short(_text.plain(trial["name"])), axes.quality(layout.HEIGHT - 8)
    row = {"id": point.id, "joules": point.joules, "low": point.low, "high": point.high, "role": role(study, trial)}
    if not axes.holds(point.quality):
        return row | {"name": f"{name}: {_text.figure(point.quality)}", "quality": edge, "worse": edge, "better": edge}
    worse = point.worse if axes.holds(point.worse) else axes.worst
    return row | {"name": name, "quality": point.quality, "worse": worse, "better": point.better}


def _short(name: str) -> str:
    return name if len(name) <= _LABEL else name[: _LABEL - 1] + "…"


def _floor(study: Study, frame: Frame) -> list[Any]:
    alt, floor, axes, colour = altair(), _floor_of(study), frame.axes, frame.palette.second
    if floor is None or not axes.holds(floor):
        return []
    row = {"quality": floor, "end": axes.worst, "text": f"floor {_text.figure(floor)}"}
    base = alt.Chart(alt.Data(values=[row | {"joules": axes.joules(layout.WIDTH - 4)}]))
    return [
        base.mark_rect(color=colour, opacity=0.06).encode(y=frame.y, y2="end"),
        base.mark_rule(color=colour, strokeWidth=1.5).encode(y=frame.y),
        base.mark_text(align="right", dy=10, color=colour, fontWeight=600).encode(x=frame.x, y=frame.y, text="text:N"),
    ]


def _front(study: Study, frame: Frame) -> list[Any]:
    """A staircase: between two points of the front nothing better was found, so no slope is promised."""
    alt = altair()
    front = [(_study.cost_of(study, t) or 0.0, t["quality"]["value"]) for t in _study.staircase(study)]
    steps = [{"joules": joules, "quality": value} for joules, value in front if frame.axes.holds(value)]
    if not steps:
        return []
    data = alt.Data(values=[*steps, {"joules": frame.axes.x_high, "quality": steps[-1]["quality"]}])
    style = {"interpolate": "step-after", "color": frame.palette.third, "strokeWidth": 1.5, "opacity": 0.7}
    return [alt.Chart(data).mark_line(**style, clip=True).encode(x=frame.x, y=frame.y)]


def _colours(palette: Palette) -> list[str]:
    return [palette.first, palette.second, palette.third, palette.third, palette.fourth]


def _minor(row: dict[str, Any]) -> bool:
    """Whether a row steps back where there are many: those that miss the floor."""
    return bool(row["role"] == ROLES[4])


def _bars(rows: list[dict[str, Any]], frame: Frame) -> list[Any]:
    alt, colours = altair(), dict(zip(ROLES, _colours(frame.palette), strict=True))
    faint = 0.5 if len(rows) <= _MANY else 0.15
    values = [row | {"colour": colours[row["role"]], "shade": faint if _minor(row) else 0.5} for row in rows]
    rule = alt.Chart(alt.Data(values=values)).mark_rule(strokeWidth=1.4, clip=True)
    rule = rule.encode(stroke=alt.Stroke("colour:N", scale=None), opacity=alt.Opacity("shade:Q", scale=None))
    return [
        rule.encode(x=frame.x_of("low"), x2="high", y=frame.y),
        rule.encode(y=frame.y_of("worse"), y2="better", x=frame.x),
    ]


def _dots(rows: list[dict[str, Any]], frame: Frame) -> Any:
    """Shape and filling say what colour says: star, filled square, filled and hollow circle, hollow triangle."""
    alt, colours = altair(), _colours(frame.palette)
    fills = [*colours[:3], frame.palette.paper, frame.palette.paper]
    present = [name for name in ROLES if any(row["role"] == name for row in rows)]
    legend = alt.Legend(title=None, values=present)

    def by_role(channel: Any, values: list[Any], shown: Any) -> Any:
        return channel("role:N", scale=alt.Scale(domain=list(ROLES), range=values), legend=shown)

    drawn_last = sorted(rows, key=lambda row: -ROLES.index(row["role"]))
    return alt.Chart(alt.Data(values=drawn_last)).mark_point(strokeWidth=1.6, opacity=1).encode(
        x=frame.x, y=frame.y, stroke=by_role(alt.Stroke, colours, legend), fill=by_role(alt.Fill, fills, legend),
        shape=by_role(alt.Shape, list(_SHAPES), legend), size=by_role(alt.Size, [260, 80, 80, 80, 80], None),
    )  # fmt: skip


def _names(rows: list[dict[str, Any]], floor: float | None, frame: Frame) -> list[Any]:
    """Names beside their points where there is room; the recommended one, the baseline and the front choose first."""
    shown = [row for row in rows if len(rows) <= _MANY or not _minor(row)]
    axes, order = frame.axes, sorted(shown, key=lambda row: ROLES.index(row["role"]))
    spots = [(axes.x(row["joules"]), axes.y(row["quality"]), row["name"]) for row in order]
    held = [] if floor is None else _floor_boxes(axes.y(floor))
    groups: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for label, row in zip(layout.place(spots, [*held, *_boxes(rows, axes)]), order, strict=True):
        if label is not None:
            value = {"joules": axes.joules(label.x), "quality": axes.quality(label.y), "name": label.text}
            groups.setdefault((label.align, row["role"] in ROLES[:2]), []).append(value)
    layers = [_text_layer(values, align, strong, frame) for (align, strong), values in groups.items()]
    return [layer for pair in layers for layer in pair]


def _boxes(rows: list[dict[str, Any]], axes: layout.Axes) -> list[layout.Box]:
    """Where the marks stand that have no name, so that no other name covers them."""
    spots = [(axes.x(row["joules"]), axes.y(row["quality"])) for row in rows if len(rows) > _MANY and _minor(row)]
    return [(x - 6, y - 6, x + 6, y + 6) for x, y in spots]


def _floor_boxes(y: float) -> list[layout.Box]:
    """The line itself, and its name at the right end."""
    return [(0, y - 1, layout.WIDTH, y + 1), layout.Label("floor 0.000", layout.WIDTH - 4, y + 10, "right").box]


def _text_layer(values: list[dict[str, Any]], align: str, strong: bool, frame: Frame) -> list[Any]:
    """The names, on a halo that keeps them legible where a line passes behind."""
    alt, weight = altair(), 600 if strong else 400
    base, fixed = alt.Chart(alt.Data(values=values)), {"align": align, "baseline": "middle", "fontWeight": weight}
    halo = base.mark_text(**fixed, stroke=frame.palette.paper, strokeWidth=3.5, strokeJoin="round", opacity=0.85)
    text = base.mark_text(**fixed, color=frame.palette.ink if strong else frame.palette.muted)
    return [layer.encode(x=frame.x, y=frame.y, text="name:N") for layer in (halo, text)]
