"""The report: one page that needs no network, no script and no other file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from trimwatt.errors import MissingExtra
from trimwatt.report import _facts, _study, _text
from trimwatt.report.figures.theme import DARK, LIGHT, variables

if TYPE_CHECKING:
    import jinja2

Study = dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """Figures that were drawn, as markup; missing: what to install where they could not be."""

    drawn: dict[str, Any]
    missing: str | None = None


def render(study: Study, found: Figures | None = None) -> str:
    """The page for `study`, whole in itself: style and figures inline, scripts none, study.json embedded.

    Without the extra `report` its figures are left out, and the page says how to get them. found: what
    `draw_found` gave for this study, if it was called before.
    """
    style = _style()
    shown = _draw(study) if found is None else _draw_took(study, found)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _templates().get_template("report.html.j2").render(
        study=study, s=_study, t=_text, style=style, style_digest=digest, figures=shown.drawn, missing=shown.missing,
        embedded=embedded(study), facts=_facts, title=title(study),
    )  # fmt: skip


def snippet(study: Study) -> str:
    """Verdict and candidates as a piece of HTML, for notebooks."""
    return _templates().get_template("snippet.html.j2").render(study=study, s=_study, t=_text)


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    loader = jinja2.PackageLoader("trimwatt.report")
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )


def _style() -> str:
    css = resources.files("trimwatt.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    light, dark = f":root{{{variables(LIGHT)}}}", f":root{{{variables(DARK)}}}"
    return f"{light}\n@media screen and (prefers-color-scheme:dark){{{dark}}}\n{css}"


def draw_found(study: Study) -> Figures:
    """The figures that do not depend on what the study took, and the template made ready."""
    from trimwatt.report import figures

    _templates().get_template("report.html.j2")
    return _draw(study, figures.FOUND)


def _draw_took(study: Study, found: Figures) -> Figures:
    from trimwatt.report import figures

    return found if found.missing else Figures({**found.drawn, **_draw(study, figures.TOOK).drawn})


def _draw(study: Study, names: Sequence[str] | None = None) -> Figures:
    import markupsafe

    from trimwatt.report import figures

    try:
        drawn = figures.drawings(study, names or (*figures.FOUND, *figures.TOOK))
    except MissingExtra as error:
        return Figures({}, str(error))
    # the drawings escape what they were given; they are markup from here on
    return Figures({name: markupsafe.Markup(figure) for name, figure in drawn.items()})  # noqa: S704


def embedded(study: Study) -> Any:
    """study.json for a script element of type application/json, which nothing in it can end."""
    import markupsafe

    text = json.dumps(study, ensure_ascii=False, separators=(",", ":"), default=str)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return markupsafe.Markup(text)  # noqa: S704 - no markup is left in it


def title(study: Study) -> str:
    name = (study.get("data") or {}).get("name")
    return f"trimwatt: {name}" if name else "trimwatt: report of a study"
