"""Comparisons outside: raw blocks as CSV, figures as a piece of HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimwatt import units
from trimwatt.compare._base import Block

if TYPE_CHECKING:
    from trimwatt.compare.result import Comparison, Side

COLUMNS = (
    "arm", "pair", "place", "cores", "requests", "cpu_s", "wall_s", "energy_j", "energy_low_j", "energy_high_j",
    "gross_j", "origin", "load", "frequency_hz", "steal_s",
)  # fmt: skip


def to_csv(sides: Sequence[Side], path: str | Path | None = None) -> str | None:
    """One line a block, in `COLUMNS`; pair counts from 0 and is empty for warm-up blocks, unknown is empty.

    path: file to write, which is replaced; None returns the text.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for side in sides:
        writer.writerows(_lines(side))
    if path is None:
        return file.getvalue()
    Path(path).write_text(file.getvalue(), encoding="utf-8")
    return None


def _lines(side: Side) -> Iterator[list[Any]]:
    for block in side.dropped:
        yield [side.name, "", *_line(block)]
    for pair, block in enumerate(side.blocks):
        yield [side.name, pair, *_line(block)]


def _line(b: Block) -> list[Any]:
    cores = "" if b.cores is None else " ".join(map(str, b.cores))
    energy = (b.energy.joules, b.energy.low, b.energy.high) if b.energy else ("", "", "")
    gross, origin = (b.gross.joules if b.gross else ""), (b.energy.origin if b.energy else "")
    found = [b.place, cores, b.requests, b.cpu_s, b.wall_s, *energy, gross, origin, b.load, b.frequency_hz, b.steal_s]
    return ["" if value is None else value for value in found]


def page(sides: Sequence[Side], comparisons: Sequence[Comparison]) -> str:
    """The arms and what was found of each pair, for notebooks; names are escaped."""
    claims = "".join(f"<li>{html.escape(str(c))}</li>" for c in comparisons)
    warnings = "".join(f"<li>{html.escape(w)}</li>" for w in dict.fromkeys(w for c in comparisons for w in c.warnings))
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in _figures(side))}</tr>" for side in sides)
    head = "".join(f"<th>{name}</th>" for name in ("arm", "CPU", "wall", "dynamic energy", "gross energy"))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div><ul>{claims}</ul>{table}" + (f"<ul>{warnings}</ul>" if warnings else "") + "</div>"


def _figures(side: Side) -> list[str]:
    energies = [str(e) if e else "unknown" for e in (side.energy, side.gross)]
    return [side.name, units.seconds(side.cpu_s), units.seconds(side.wall_s), *energies]
