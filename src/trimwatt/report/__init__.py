"""What a study says to people: in the terminal, as a page, as a card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimwatt._files import seal, write_whole

if TYPE_CHECKING:
    from trimwatt.report.html import Figures

__all__ = ["prepare", "put", "save", "snippet", "write"]


def put(path: Path, text: str) -> Path:
    """Write `text` to `path` whole or not at all: beside it first, then renamed over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, text)


def save(study: dict[str, Any], path: Path, figures: Figures | None = None) -> Path:
    """Write the report of `study` to `path`."""
    from trimwatt.report import html

    return put(path, html.render(study, figures))


def snippet(study: dict[str, Any]) -> str:
    """Verdict and candidates as a piece of HTML, for notebooks."""
    from trimwatt.report import html

    return html.snippet(study)


def prepare(study: dict[str, Any], folder: Path) -> Callable[[dict[str, Any]], list[Path]]:
    """Draw what does not depend on the study's own cost; what is returned is `write`, for when that cost is known."""
    from trimwatt.report import html

    figures = html.draw_found(study)
    return lambda final: write(final, folder, figures)


def write(study: dict[str, Any], folder: Path, figures: Figures | None = None) -> list[Path]:
    """Write `report.html`, and the model card `artifact/README.md` where there is an artifact; return their paths."""
    from trimwatt.report import cards

    written = [save(study, folder / "report.html", figures)]
    manifest = folder / "artifact" / "manifest.json"
    if manifest.is_file():
        card = cards.card(study, json.loads(manifest.read_text(encoding="utf-8")))
        written.append(put(manifest.with_name("README.md"), seal(card)))
    return written
