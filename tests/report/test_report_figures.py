"""The figures: what is drawn is what was found, and names never cover each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sample_study as samples
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.errors import InputError
from trimwatt.report import figures
from trimwatt.report.figures import layout
from trimwatt.report.figures._base import bounds
from trimwatt.report.figures.theme import DARK, LIGHT, STAND_IN, to_variables

SPOTS = st.lists(
    st.tuples(st.floats(0, layout.WIDTH), st.floats(0, layout.HEIGHT), st.text("abc", min_size=1, max_size=30)),
    max_size=25,
)


@given(SPOTS)
def test_no_name_covers_another_or_leaves_the_plot(spots: list[tuple[float, float, str]]) -> None:
    boxes = [label.box for label in layout.place(spots) if label]
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0 and top >= 0 and right <= layout.WIDTH and bottom <= layout.HEIGHT
        assert not any(l < right and left < r and t < bottom and top < b for l, t, r, b in boxes[:number])  # noqa: E741


def points(qualities: list[float], greater: bool) -> list[layout.Point]:
    half = 0.01 if greater else -0.01
    return [
        layout.Point(f"t{i}", 1e-3 * (i + 1), 0.9e-3 * (i + 1), 1.1e-3 * (i + 1), q, q - half, q + half)
        for i, q in enumerate(qualities)
    ]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0, 1), st.booleans())
def test_the_range_holds_the_floor_and_all_that_keep_it(qualities: list[float], floor: float, greater: bool) -> None:
    found = points(qualities, greater)
    axes = layout.axes(found, floor, ["t0"], greater)
    kept = [p for p in found if (p.quality >= floor) == greater or p.quality == floor]
    assert axes.holds(found[0].quality)
    for point in kept:
        assert 0 <= axes.y(point.quality) <= layout.HEIGHT
        assert 0 <= axes.x(point.joules) <= layout.WIDTH
    if kept:
        assert 0 <= axes.y(floor) <= layout.HEIGHT


@given(st.floats(0, layout.WIDTH), st.floats(0, layout.HEIGHT))
def test_pixels_and_values_turn_into_each_other(x: float, y: float) -> None:
    axes = layout.Axes(1e-6, 1e-2, 0.6, 0.9)
    assert axes.x(axes.joules(x)) == pytest.approx(x, abs=1e-6)
    assert axes.y(axes.quality(y)) == pytest.approx(y, abs=1e-6)


def test_what_lies_far_below_the_floor_does_not_flatten_the_rest() -> None:
    axes = layout.axes(points([0.95, 0.94, 0.10], True), 0.93, [], True)
    assert not axes.holds(0.10)
    assert axes.y(0.93) - axes.y(0.95) > layout.HEIGHT / 4


def test_the_interval_is_that_of_the_comparison_and_not_of_the_model() -> None:
    study = samples.sample()
    trial = study["trials"][1]
    joules = trial["energy_per_prediction"]["joules"]
    assert bounds(study, trial) == (pytest.approx(0.97 * joules), pytest.approx(1.03 * joules))
    assert bounds(study, study["trials"][0]) == (24.44e-3, 24.44e-3)


def values(specification: object) -> list[dict[str, object]]:
    """Every inline row of a specification."""
    if isinstance(specification, dict):
        own = specification["values"] if isinstance(specification.get("values"), list) else []
        rows = [row for row in own if isinstance(row, dict)]
        return rows + [row for part in specification.values() for row in values(part)]
    return [row for part in specification for row in values(part)] if isinstance(specification, list) else []


def test_the_scatter_holds_every_measured_trial_with_its_role() -> None:
    chart = figures.scatter(samples.sample())
    assert chart is not None
    roles = {row["id"]: row["role"] for row in values(chart.to_dict()) if "id" in row}
    assert len(roles) == 10
    assert (roles["t0"], roles["t1"], roles["t3"], roles["t8"]) == (
        "baseline", "recommended", "misses the floor", "keeps the floor",
    )  # fmt: skip


def test_the_staircase_promises_nothing_between_two_points() -> None:
    chart = figures.scatter(samples.sample())
    text = str(chart.to_dict())  # type: ignore[union-attr]
    assert "step-after" in text


def test_errors_are_drawn_with_less_above() -> None:
    chart = figures.scatter(samples.regression())
    assert "'reverse': True" in str(chart.to_dict())  # type: ignore[union-attr]


def test_estimated_bars_are_dashed_and_measured_ones_are_not() -> None:
    dashed = str(figures.before_after(samples.sample()).to_dict())  # type: ignore[union-attr]
    solid = str(figures.before_after(samples.regression(measured=True)).to_dict())  # type: ignore[union-attr]
    assert "strokeDash" in dashed and "strokeDash" not in solid


def test_nothing_is_drawn_of_nothing() -> None:
    study = samples.bare()
    assert figures.drawings(study) == {}
    assert figures.payback(samples.nothing_found()) is None


def test_a_drawing_for_the_page_names_no_address_and_takes_the_page_s_colours() -> None:
    for drawn in figures.drawings(samples.hostile()).values():
        assert drawn.startswith("<svg")
        assert not re.search(r"https?:|url\((?!#)|href|<script|style=", drawn)
        assert "var(--ink)" in drawn
        assert "#0101" not in drawn


def test_two_figures_on_a_page_share_no_id() -> None:
    page = "".join(figures.drawings(samples.sample()).values())
    names, used = re.findall(r'\bid="([^"]+)"', page), re.findall(r"url\(#([^)]+)", page)
    assert names and len(names) == len(set(names))
    assert set(used) <= set(names)


@pytest.mark.parametrize("maker", ["scatter", "before_after", "ledger", "payback"])
def test_figures_hold_for_one_candidate_only(maker: str) -> None:
    study = samples.sample()
    study["trials"] = study["trials"][:1]
    study |= {"recommended": "t0", "ledger": study["ledger"][:1]}
    chart = getattr(figures, maker)(study, STAND_IN)
    assert chart is None or figures.svg(chart).count("<path") > 0


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<svg")])
def test_figures_are_saved_for_a_paper(tmp_path: Path, name: str, start: bytes) -> None:
    chart = figures.ledger(samples.sample(), DARK)
    assert chart is not None
    assert figures.save(chart, tmp_path / name).read_bytes().startswith(start)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    chart = figures.ledger(samples.sample())
    assert chart is not None
    with pytest.raises(InputError, match=r"saved as \.svg, \.png or \.pdf"):
        figures.save(chart, tmp_path / "a.bmp")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_colours_stand_out_from_the_paper(palette: object) -> None:
    """WCAG: 4.5 for text, 3 for graphics."""
    paper = luminance(palette.paper)  # type: ignore[attr-defined]
    for name, least in (("ink", 4.5), ("muted", 4.5), ("first", 3), ("second", 3), ("third", 3), ("fourth", 3)):
        one = luminance(getattr(palette, name))
        assert (max(one, paper) + 0.05) / (min(one, paper) + 0.05) >= least, name


def test_stand_in_colours_are_all_found_again() -> None:
    import dataclasses

    text = " ".join(dataclasses.astuple(STAND_IN))
    assert "#" not in to_variables(text)
